import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patience } from '../../agent/engine/patience.js';
import type { Plan } from '../../shared/search/index.js';

/** A plan of two segments, as far as patience needs it. */
function planOf(latencies: readonly number[]): Plan {
  const latencyMs = latencies.reduce((sum, ms) => sum + ms, 0);
  const segments = latencies.map((ms) => ({ prediction: { latencyMs: ms } }));
  return { segments, predicted: { latencyMs } } as unknown as Plan;
}

test('Patience gives a step five times what is predicted, ten seconds at least', () => {
  const patience = new Patience();
  assert.equal(patience.stepMs(planOf([100, 200]), [1, 1]), 10_000);
  assert.equal(patience.stepMs(planOf([100, 30_000]), [1, 2]), 75_000);
});

test('Patience learns from runs that a board is slower than predicted', () => {
  const patience = new Patience();
  patience.reward(planOf([1000]), 4000);
  assert.equal(patience.stepMs(planOf([1000]), [1]), 20_000);
  patience.reward(planOf([1000]), 900);
  assert.equal(patience.stepMs(planOf([1000]), [1]), 10_000);
});

test('Patience doubles with each hang until a run succeeds', () => {
  const patience = new Patience();
  const plan = planOf([100]);
  patience.punish('hung', 0);
  patience.punish('hung', 0);
  patience.punish('crashed', 0);
  assert.equal(patience.stepMs(plan, [1]), 40_000);
  patience.reward(plan, 100);
  assert.equal(patience.stepMs(plan, [1]), 10_000);
});

test('Patience lets an executor that keeps ending wait for its next start, longer each time', () => {
  const patience = new Patience();
  const waits = Array.from({ length: 12 }, (_, nowMs) => {
    patience.punish('crashed', 0);
    for (let ms = 0; ; ms += 1000) {
      try {
        patience.checkStart(ms);
        return ms / 1000;
      } catch (error) {
        assert.match(
          String(error),
          new RegExp(`Executor lost ${nowMs + 1} times in a row: started again in`),
        );
      }
    }
  });
  assert.deepEqual(waits, [0, 0, 0, 1, 2, 5, 10, 20, 30, 30, 30, 30]);
  patience.reward(planOf([1]), 1);
  patience.punish('crashed', 0);
  patience.checkStart(0);
});
