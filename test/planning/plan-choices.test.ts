import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BAND_RATIO } from '../../agent/board/pressure.js';
import type { PlanPoint } from '../../agent/planning/plan-choices.js';
import { PlanChoices } from '../../agent/planning/plan-choices.js';

const MEBI = 2 ** 20;

/** Plans that are each larger and faster than the one before. */
const POINTS = [point('a', 10, 40), point('b', 20, 30), point('c', 40, 20)];

test('PlanChoices.pick() takes the fastest plan that fits, else the smallest', () => {
  const choices = new PlanChoices(POINTS, 'evictable');
  assert.equal(choices.pick(100 * MEBI).notation, 'c');
  assert.equal(choices.pick(39 * MEBI).notation, 'b');
  assert.equal(choices.pick(1).notation, 'a');
  const resident = new PlanChoices(POINTS, 'resident');
  assert.equal(resident.pick(40 * MEBI).notation, 'b', 'weights count');
});

test('PlanChoices.correct() takes over what a plan needed, and it is picked where that fits', () => {
  const choices = new PlanChoices(POINTS, 'evictable');
  const [, second = point('', 0, 0)] = POINTS;
  assert.equal(choices.correct(second, 22 * MEBI), undefined, 'within the tolerance');
  assert.deepEqual(choices.correct(second, 30 * MEBI), { correction: 1.5, barredBytes: 0 });
  assert.equal(choices.needOf(second), 30 * MEBI);
  assert.equal(choices.pick(29 * MEBI).notation, 'a');
  assert.equal(choices.pick(30 * MEBI).notation, 'b');
  assert.equal(choices.correct(second, 30 * MEBI), undefined, 'it keeps its new promise');
});

test('PlanChoices.bar() keeps a plan from budgets up to the one at which it got its executor killed', () => {
  const choices = new PlanChoices(POINTS, 'evictable');
  const [, , third = point('', 0, 0)] = POINTS;
  assert.deepEqual(choices.bar(third, 50 * MEBI), { correction: 1, barredBytes: 50 * MEBI });
  assert.equal(choices.pick(50 * MEBI).notation, 'b');
  assert.equal(choices.pick(50 * MEBI * (1 + BAND_RATIO)).notation, 'b');
  assert.equal(choices.pick(60 * MEBI).notation, 'c');
  assert.equal(choices.bar(third, 40 * MEBI).barredBytes, 50 * MEBI);
});

test('PlanChoices.withPoints() keeps what was learnt', () => {
  const choices = new PlanChoices(POINTS, 'evictable');
  const [first = point('', 0, 0)] = POINTS;
  choices.correct(first, 20 * MEBI);
  assert.equal(choices.withPoints([first]).needOf(first), 20 * MEBI);
});

test('PlanChoices.pick() never takes a plan that does not fit while one does', () => {
  const sizes = fc.array(fc.tuple(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 200 })), {
    minLength: 1,
    maxLength: 12,
  });
  const lessons = fc.array(fc.tuple(fc.nat(11), fc.integer({ min: 1, max: 400 }), fc.boolean()), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(sizes, lessons, fc.integer({ min: 1, max: 300 }), (all, learnt, budget) => {
      const points = all.map(([bytes, ms], at) => point(`p${at}`, bytes, ms));
      const choices = new PlanChoices(points, 'evictable');
      for (const [at, value, isKill] of learnt) {
        const plan = points[at % points.length] ?? point('', 1, 1);
        if (isKill) choices.bar(plan, value * MEBI);
        else choices.correct(plan, value * MEBI);
      }
      const picked = choices.pick(budget * MEBI);
      const least = Math.min(...points.map((one) => choices.needOf(one)));
      if (choices.needOf(picked) > budget * MEBI) assert.equal(choices.needOf(picked), least);
    }),
  );
});

/** A plan with 10 MB of weights. */
function point(notation: string, mebibytes: number, latencyMs: number): PlanPoint {
  const [workingBytes, weightsBytes] = [mebibytes * MEBI, 10 * MEBI];
  const predicted = { workingBytes, weightsBytes, peakBytes: workingBytes + weightsBytes, latencyMs };
  return { notation, settings: { level: 'all', allocator: 'jemalloc', threads: 2 }, predicted };
}
