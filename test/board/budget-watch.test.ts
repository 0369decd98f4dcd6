import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { BoundBytes } from '../../agent/board/budget.js';
import type { WatchOptions } from '../../agent/board/budget-watch.js';
import { BudgetWatch } from '../../agent/board/budget-watch.js';
import type { MemoryReading } from '../../agent/board/read-memory.js';
import { MB } from './fake-tree.js';

const SETTINGS = { budget: 'auto', floor: 0.1, minInterval: 0.1, maxInterval: 5 } as const;

const READING: MemoryReading = {
  board: {
    totalBytes: 1000 * MB,
    availableBytes: 400 * MB,
    swapTotalBytes: 0,
    swapFreeBytes: 0,
    zramBytes: 0,
  },
  cgroups: [],
  stallPercent: 0,
  ownStallPercent: undefined,
};

test('BudgetWatch.look() counts what executor and planner hold, and keeps to the configured budget', () => {
  const watch = watchOf({ plannerBytes: () => 15 * MB });
  assert.equal(watch.look(READING).bytes, (400 - 100 + 50 - 20 + 15) * MB);
  assert.equal(watchOf().look(READING).bytes, (400 - 100 + 50 - 20) * MB);
  watch.configure({ ...SETTINGS, budget: 30 * MB });
  assert.deepEqual(watch.look(READING), { bytes: 30 * MB, bound: 'config' });
  assert.deepEqual(watch.budget, { bytes: 30 * MB, bound: 'config' });
});

test('BudgetWatch.isStalled tells whether tasks waited for memory at the last look', () => {
  const watch = watchOf();
  assert.ok(!watch.isStalled);
  watch.look({ ...READING, stallPercent: 50 });
  assert.ok(watch.isStalled);
  watch.look(READING);
  assert.ok(!watch.isStalled);
});

test('BudgetWatch.start() looks at once, and again after a reload; errors are reported', (context: TestContext) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const budgets: BoundBytes[] = [];
  const errors: unknown[] = [];
  let isLost = false;
  const watch = watchOf({
    executor: () => {
      if (isLost) throw new Error('no executor');
      return { residentBytes: 0, idleBytes: 0 };
    },
    onBudget: (budget) => budgets.push(budget),
    onError: (error) => errors.push(error),
  });
  context.after(() => watch.stop());
  watch.start();
  assert.equal(budgets.length, 1);
  watch.configure({ ...SETTINGS, budget: MB });
  assert.equal(budgets.length, 2);
  isLost = true;
  context.mock.timers.tick(5000);
  assert.ok(errors.length > 0);
});

function watchOf(options: Partial<WatchOptions> = {}): BudgetWatch {
  return new BudgetWatch(SETTINGS, {
    executor: () => ({ residentBytes: 50 * MB, idleBytes: 20 * MB }),
    onBudget: () => undefined,
    onError: (error) => assert.fail(String(error)),
    ...options,
  });
}
