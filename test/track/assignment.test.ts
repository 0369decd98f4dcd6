import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assign } from '../../agent/track/assignment.js';
import { elementAt } from '../../shared/graph/index.js';

const cost = fc.oneof(fc.integer({ min: -3, max: 9 }), fc.double({ min: -2, max: 2, noNaN: true }));

const matrices = fc
  .record({ rows: fc.integer({ min: 0, max: 6 }), cols: fc.integer({ min: 0, max: 6 }) })
  .chain((size) =>
    fc
      .array(cost, { minLength: size.rows * size.cols, maxLength: size.rows * size.cols })
      .map((values) => ({ ...size, values: Float64Array.from(values) })),
  );

test('assign() gives each row a column of its own, and costs what the best of all assignments does', () => {
  fc.assert(
    fc.property(matrices, (costs) => {
      const columns = assign(costs);
      const given = columns.filter((col) => col >= 0);
      assert.equal(columns.length, costs.rows);
      assert.equal(given.length, Math.min(costs.rows, costs.cols));
      assert.equal(new Set(given).size, given.length);
      const total = columns.reduce((sum, col, row) => sum + (col < 0 ? 0 : at(costs, row, col)), 0);
      assert.ok(Math.abs(total - leastCost(costs)) < 1e-9, `${total}, expected ${leastCost(costs)}`);
    }),
    { numRuns: 400 },
  );
});

test('assign() solves what a greedy choice gets wrong', () => {
  const values = Float64Array.of(1, 2, 1, 9);
  assert.deepEqual(assign({ rows: 2, cols: 2, values }), [1, 0]);
});

interface Costs {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float64Array;
}

function at({ cols, values }: Costs, row: number, col: number): number {
  return elementAt(values, row * cols + col);
}

/** Tries all assignments. */
function leastCost(costs: Costs): number {
  const spare = Math.max(0, costs.rows - costs.cols);
  const from = (row: number, free: readonly number[], skipped: number): number => {
    if (row === costs.rows) return 0;
    const without = skipped < spare ? from(row + 1, free, skipped + 1) : Number.POSITIVE_INFINITY;
    const taken = free.map((col) => {
      const rest = free.filter((other) => other !== col);
      return at(costs, row, col) + from(row + 1, rest, skipped);
    });
    return Math.min(without, ...taken);
  };
  return from(0, [...Array(costs.cols).keys()], 0);
}
