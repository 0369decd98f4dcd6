import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { strategyNamed } from '../../agent/planning/plan-network.js';
import type { SearchJob } from '../../agent/planning/search-thread.js';
import { searchInThread } from '../../agent/planning/search-thread.js';
import { externalizeConstants } from '../../shared/graph/index.js';
import type { DeviceProfile } from '../../shared/predict/index.js';
import { BUILT_IN_PROFILE } from '../../shared/predict/index.js';
import { BudgetError, searchVariants } from '../../shared/search/index.js';
import { graphOf } from '../notation.js';

const { graph: GRAPH } = externalizeConstants(graphOf('3x96x96: c16k3p1 m2s2 c32k3p1 m2s2 c32k3p1'), 'data');
const MEBI = 2 ** 20;

const JOB: SearchJob = {
  graph: GRAPH,
  strategy: 'optimal',
  variants: [
    { level: 'all', allocator: 'jemalloc', threads: 2 },
    { level: 'extended', allocator: 'glibc', threads: 1 },
  ],
  budgetBytes: Number.POSITIVE_INFINITY,
  weights: 'resident',
};

/** One where steps are dear and multiplying is cheap. */
const OTHER: DeviceProfile = {
  source: 'test',
  entries: BUILT_IN_PROFILE.entries.map((entry) => ({
    ...entry,
    costs: { ...entry.costs, steps: 1e7, denseMacs: 1e-3 },
  })),
};

test('searchInThread() gives the plan that searchVariants() gives in this thread', async () => {
  const least = budgetErrorOf({ ...JOB, budgetBytes: 1 }).smallestBytes;
  const jobs: readonly SearchJob[] = [
    JOB,
    { ...JOB, budgetBytes: 1.1 * least },
    { ...JOB, budgetBytes: 1.1 * least, strategy: 'mafat' },
    { ...JOB, budgetBytes: 1.3 * least, weights: 'evictable', copiesWeights: false },
    { ...JOB, budgetBytes: 1.3 * least, copiesWeights: true, profile: OTHER },
  ];
  for (const job of jobs) assert.deepEqual(await searchInThread(job), searchHere(job));
});

test('searchInThread() rejects with the smallest plan when none fits', async () => {
  for (const known of [{}, { copiesWeights: true, profile: OTHER }]) {
    const job = { ...JOB, ...known, budgetBytes: 1 };
    const expected = budgetErrorOf(job);
    await assert.rejects(searchInThread(job), (error: unknown) => {
      assert.ok(error instanceof BudgetError);
      assert.equal(error.message, expected.message);
      assert.equal(error.smallestBytes, expected.smallestBytes);
      assert.deepEqual(error.smallest, expected.smallest);
      return true;
    });
  }
});

test('searchInThread() rejects with what the search throws', async () => {
  await assert.rejects(searchInThread({ ...JOB, strategy: 'best' }), {
    name: 'RangeError',
    message: /by strategy "best": expected optimal, mafat/,
  });
});

test('searchInThread() rejects with the reason when the signal aborts, and later searches go on', async () => {
  const controller = new AbortController();
  const reason = new Error('no longer wanted');
  const searching = searchInThread({ ...JOB, budgetBytes: 8 * MEBI }, controller.signal);
  await setImmediate();
  controller.abort(reason);
  await assert.rejects(searching, reason);
  assert.deepEqual(await searchInThread(JOB, new AbortController().signal), searchHere(JOB));
});

test('searchInThread() does not begin when the signal has aborted before', async () => {
  const reason = new Error('no longer wanted');
  await assert.rejects(searchInThread(JOB, AbortSignal.abort(reason)), reason);
});

test('searchInThread() leaves nothing on the signal of an agent that plans for months', async () => {
  const { signal } = new AbortController();
  await searchInThread(JOB, signal);
  await assert.rejects(searchInThread({ ...JOB, budgetBytes: 1 }, signal), BudgetError);
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
});

test('searchInThread() leaves the event loop free while it searches', async () => {
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
  }, 1);
  try {
    await searchInThread(JOB);
  } finally {
    clearInterval(timer);
  }
  assert.ok(ticks > 0);
});

test('searchInThread() runs several searches at once', async () => {
  const jobs = [JOB, { ...JOB, budgetBytes: 8 * MEBI }, { ...JOB, strategy: 'mafat' }];
  const plans = await Promise.all(jobs.map((job) => searchInThread(job)));
  assert.deepEqual(plans, jobs.map(searchHere));
});

function searchHere({ graph, strategy, ...options }: SearchJob) {
  return searchVariants(graph, strategyNamed(strategy), options);
}

function budgetErrorOf(job: SearchJob): BudgetError {
  try {
    searchHere(job);
  } catch (error) {
    if (error instanceof BudgetError) return error;
    throw error;
  }
  return assert.fail('a byte is enough');
}
