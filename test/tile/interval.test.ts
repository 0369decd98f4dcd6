import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AxisRule } from '../../shared/graph/index.js';
import type { Interval } from '../../shared/tile/index.js';
import { isEmpty } from '../../shared/tile/index.js';
import { contains, exactRows, readRows } from '../../shared/tile/interval.js';

test('readRows() gives the window of a convolution, clipped to the map', () => {
  const rule = { up: 1, stride: 2, pad: 1, extent: 3, mirror: 0 };
  assert.deepEqual(readRows(rule, { from: 0, to: 2 }, { rowsIn: 10, rowsOut: 5 }), { from: 0, to: 4 });
  assert.deepEqual(readRows(rule, { from: 2, to: 4 }, { rowsIn: 10, rowsOut: 5 }), { from: 3, to: 8 });
  assert.deepEqual(readRows(rule, { from: 4, to: 5 }, { rowsIn: 9, rowsOut: 5 }), { from: 7, to: 9 });
});

test('readRows() of an upsampling reads the rows below and beside', () => {
  const linear = { up: 2, stride: 1, pad: 1, extent: 3, mirror: 0 };
  assert.deepEqual(readRows(linear, { from: 4, to: 6 }, { rowsIn: 10, rowsOut: 20 }), { from: 1, to: 4 });
});

test('readRows() asks for the rows that an operator crops of each tile', () => {
  const crop = { up: 1, stride: 2, pad: -3, extent: 1, mirror: 0 };
  // Of 20 rows every second from row 3 on, without the last four.
  assert.deepEqual(readRows(crop, { from: 0, to: 2 }, { rowsIn: 20, rowsOut: 7 }), { from: 0, to: 10 });
  assert.deepEqual(readRows(crop, { from: 4, to: 7 }, { rowsIn: 20, rowsOut: 7 }), { from: 8, to: 20 });
});

test('readRows() of nothing is nothing', () => {
  const rule = { up: 1, stride: 1, pad: 1, extent: 3, mirror: 0 };
  assert.ok(isEmpty(readRows(rule, { from: 3, to: 3 }, { rowsIn: 10, rowsOut: 10 })));
});

test('exactRows() holds the wanted rows when readRows() is exact', () => {
  fc.assert(
    fc.property(operators(), fc.nat(), fc.nat(), (operator, a, b) => {
      const wanted = intervalIn(operator.rowsOut, a, b);
      const exact = exactRows(operator.rule, readRows(operator.rule, wanted, operator), operator);
      assert.ok(contains(exact, wanted), `${show(wanted)} not in ${show(exact)}`);
    }),
    { numRuns: 2000 },
  );
});

test('exactRows() and readRows() agree with a naive operator that tracks every row', () => {
  fc.assert(
    fc.property(operators(), fc.nat(), fc.nat(), (operator, a, b) => {
      const given = intervalIn(operator.rowsIn, a, b);
      const exact = exactRows(operator.rule, given, operator);
      for (let row = exact.from; row < exact.to; row += 1) {
        for (const read of naiveReads(operator, row)) {
          assert.ok(read >= given.from && read < given.to, `row ${row} reads ${read}, given ${show(given)}`);
        }
      }
      const hull = readRows(operator.rule, exact, operator);
      for (let row = exact.from; row < exact.to; row += 1) {
        for (const read of naiveReads(operator, row)) {
          assert.ok(read >= hull.from && read < hull.to, `row ${row} reads ${read}, not in ${show(hull)}`);
        }
      }
    }),
    { numRuns: 2000 },
  );
});

interface Operator {
  readonly rule: AxisRule;
  readonly rowsIn: number;
  readonly rowsOut: number;
}

function operators(): fc.Arbitrary<Operator> {
  const window = fc
    .record({
      stride: fc.integer({ min: 1, max: 3 }),
      pad: fc.nat(3),
      extent: fc.integer({ min: 1, max: 7 }),
      rowsIn: fc.integer({ min: 8, max: 40 }),
    })
    .map(({ rowsIn, ...rule }) => ({
      rule: { up: 1, mirror: 0, ...rule },
      rowsIn,
      rowsOut: Math.floor((rowsIn + 2 * rule.pad - rule.extent) / rule.stride) + 1,
    }));
  const upsample = fc
    .record({
      up: fc.integer({ min: 2, max: 4 }),
      pad: fc.nat(1),
      extent: fc.integer({ min: 1, max: 3 }),
      rowsIn: fc.integer({ min: 1, max: 20 }),
    })
    .map(({ rowsIn, ...rule }) => ({
      rule: { stride: 1, mirror: 0, ...rule },
      rowsIn,
      rowsOut: rowsIn * rule.up,
    }));
  const reflect = fc
    .record({ pad: fc.integer({ min: 1, max: 3 }), rowsIn: fc.integer({ min: 6, max: 20 }) })
    .map(({ pad, rowsIn }) => ({
      rule: { up: 1, stride: 1, pad, extent: 1, mirror: pad + 1 },
      rowsIn,
      rowsOut: rowsIn + 2 * pad,
    }));
  return fc.oneof(window, upsample, reflect);
}

/** Input rows of one output row by the definition of the rule, one by one. */
function naiveReads({ rule, rowsIn }: Operator, row: number): readonly number[] {
  const first = Math.floor(row / rule.up) * rule.stride - rule.pad;
  const reads = Array.from({ length: rule.extent }, (_, at) => first + at);
  if (rule.mirror === 0) return reads.filter((read) => read >= 0 && read < rowsIn);
  return reads.map((read) => (read < 0 ? -read : read >= rowsIn ? 2 * (rowsIn - 1) - read : read));
}

function intervalIn(rows: number, a: number, b: number): Interval {
  const from = a % rows;
  return { from, to: from + 1 + (b % (rows - from)) };
}

function show({ from, to }: Interval): string {
  return `[${from}, ${to})`;
}
