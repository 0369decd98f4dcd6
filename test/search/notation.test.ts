import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Mode, PlanNotation } from '../../shared/index.js';
import { formatPlan, parsePlan, tilesOf, WHOLE } from '../../shared/index.js';

test('parsePlan() reads back what formatPlan() wrote', () => {
  fc.assert(fc.property(plans, (plan) => assert.deepEqual(parsePlan(formatPlan(plan)), plan)));
});

test('formatPlan() prints modes with the first layer after each cut between them', () => {
  const plan = { modes: [tilesOf(5, 5), tilesOf(2, 3), WHOLE], cuts: [8, 12] };
  assert.equal(formatPlan(plan), '5x5 | 8 | 2x3 | 12 | whole');
  assert.equal(formatPlan({ modes: [WHOLE], cuts: [] }), 'whole');
});

test('parsePlan() ignores white space around its parts', () => {
  const plan = { modes: [tilesOf(2, 2), WHOLE], cuts: [4] };
  assert.deepEqual(parsePlan('2x2|4|whole'), plan);
  assert.deepEqual(parsePlan('  2x2  |  4 | whole\n'), plan);
});

test('parsePlan() reads one tile as the whole map', () => {
  assert.deepEqual(parsePlan('1x1'), { modes: [WHOLE], cuts: [] });
});

test('parsePlan() names the part that is no mode', () => {
  for (const mode of ['', '3', '0x2', '2x0', '2x', '2X2', '2x2x2', '-1x2', '1.5x2', '65x1', 'Whole']) {
    assert.throws(() => parsePlan(`whole | 3 | ${mode}`), {
      name: 'SyntaxError',
      message: new RegExp(`^Cannot parse mode "${mode}": expected whole or ROWSxCOLS`),
    });
  }
});

test('parsePlan() names the part that is no layer', () => {
  for (const cut of ['', '2x2', '-1', '1.5', '1e2', '9007199254740993']) {
    assert.throws(() => parsePlan(`whole | ${cut} | whole`), {
      name: 'SyntaxError',
      message: new RegExp(`cut "${cut}", expected a layer number`),
    });
  }
});

test('parsePlan() fails when the plan ends in a cut', () => {
  assert.throws(() => parsePlan('2x2 | 4'), { name: 'SyntaxError', message: /"2x2 \| 4": it ends in a cut/ });
});

test('parsePlan() fails when cuts do not increase from 1', () => {
  assert.throws(() => parsePlan('2x2 | 0 | whole'), /cut 0, expected a layer after the first/);
  assert.throws(() => parsePlan('2x2 | 4 | 2x2 | 4 | whole'), /cut 4, expected a layer after 4/);
  assert.throws(() => parsePlan('2x2 | 4 | 2x2 | 3 | whole'), /cut 3, expected a layer after 4/);
});

const grid = fc.integer({ min: 1, max: 64 });

const modes: fc.Arbitrary<Mode> = fc.oneof(
  fc.constant(WHOLE),
  fc.tuple(grid, grid).map(([rows, cols]) => tilesOf(rows, cols)),
);

const plans: fc.Arbitrary<PlanNotation> = fc
  .uniqueArray(fc.integer({ min: 1, max: 10_000 }), { maxLength: 6 })
  .map((cuts) => [...cuts].sort((a, b) => a - b))
  .chain((cuts) =>
    fc
      .array(modes, { minLength: cuts.length + 1, maxLength: cuts.length + 1 })
      .map((chosen) => ({ modes: chosen, cuts })),
  );
