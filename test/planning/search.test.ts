import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { PlanJob } from '../../agent/planning/search.js';
import { searchFrontOf, searchPlanFor } from '../../agent/planning/search.js';
import { strategyNamed } from '../../agent/planning/strategies.js';
import { externalizeConstants } from '../../shared/graph/index.js';
import type { DeviceProfile } from '../../shared/predict/index.js';
import { BUILT_IN_PROFILE } from '../../shared/predict/index.js';
import { BudgetError, searchFront, searchVariants } from '../../shared/search/index.js';
import { graphOf } from '../notation.js';

const { graph: GRAPH } = externalizeConstants(graphOf('3x96x96: c16k3p1 m2s2 c32k3p1 m2s2 c32k3p1'), 'data');
const MEBI = 2 ** 20;

type Job = Omit<PlanJob, 'kind'>;

const JOB: Job = {
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

test('searchPlanFor() gives the plan that searchVariants() gives in this process', async () => {
  const least = budgetErrorOf({ ...JOB, budgetBytes: 1 }).smallestBytes;
  const jobs: readonly Job[] = [
    JOB,
    { ...JOB, budgetBytes: 1.1 * least },
    { ...JOB, budgetBytes: 1.1 * least, strategy: 'mafat' },
    { ...JOB, budgetBytes: 1.3 * least, weights: 'evictable', copiesWeights: false },
    { ...JOB, budgetBytes: 1.3 * least, copiesWeights: true, profile: OTHER },
  ];
  for (const job of jobs) assert.deepEqual(await searchPlanFor(job), searchHere(job));
});

test('searchPlanFor() rejects with the smallest plan when none fits', async () => {
  for (const known of [{}, { copiesWeights: true, profile: OTHER }]) {
    const job = { ...JOB, ...known, budgetBytes: 1 };
    const expected = budgetErrorOf(job);
    await assert.rejects(searchPlanFor(job), (error: unknown) => {
      assert.ok(error instanceof BudgetError);
      assert.equal(error.message, expected.message);
      assert.equal(error.smallestBytes, expected.smallestBytes);
      assert.deepEqual(error.smallest, expected.smallest);
      return true;
    });
  }
});

test('searchPlanFor() rejects with what the search throws', async () => {
  await assert.rejects(searchPlanFor({ ...JOB, strategy: 'best' }), {
    name: 'RangeError',
    message: /by strategy "best": expected optimal, mafat/,
  });
});

test('searchPlanFor() rejects with the reason when the signal aborts, and later searches go on', async () => {
  const controller = new AbortController();
  const reason = new Error('no longer wanted');
  const searching = searchPlanFor({ ...JOB, budgetBytes: 8 * MEBI }, { signal: controller.signal });
  await setImmediate();
  controller.abort(reason);
  await assert.rejects(searching, reason);
  assert.deepEqual(await searchPlanFor(JOB, { signal: new AbortController().signal }), searchHere(JOB));
});

test('searchPlanFor() does not begin when the signal has aborted before', async () => {
  const reason = new Error('no longer wanted');
  await assert.rejects(searchPlanFor(JOB, { signal: AbortSignal.abort(reason) }), reason);
});

test('searchPlanFor() leaves nothing on the signal of an agent that plans for months', async () => {
  const { signal } = new AbortController();
  await searchPlanFor(JOB, { signal });
  await assert.rejects(searchPlanFor({ ...JOB, budgetBytes: 1 }, { signal }), BudgetError);
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
});

test('searchPlanFor() leaves the event loop free while it searches', async () => {
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
  }, 1);
  try {
    await searchPlanFor(JOB);
  } finally {
    clearInterval(timer);
  }
  assert.ok(ticks > 0);
});

test('searchPlanFor() runs several searches at once', async () => {
  const jobs = [JOB, { ...JOB, budgetBytes: 8 * MEBI }, { ...JOB, strategy: 'mafat' }];
  const plans = await Promise.all(jobs.map((job) => searchPlanFor(job)));
  assert.deepEqual(plans, jobs.map(searchHere));
});

test('searchFrontOf() gives the front that searchFront() gives in this process, and its progress', async () => {
  const { graph, ...options } = JOB;
  const pids: number[] = [];
  const front = await searchFrontOf(JOB, { onStart: (pid) => pids.push(pid) });
  const { points, complete } = searchFront(graph, options);
  const summaries = points.map(({ plan: { notation, settings, predicted } }) => ({
    notation,
    settings,
    predicted,
  }));
  assert.deepEqual(front, { points: summaries, complete });
  assert.equal(pids.length, 1);
  assert.notEqual(pids[0], process.pid);
});

test('searchPlanFor() rejects when the kernel kills the search', async () => {
  const killed = searchPlanFor(JOB, { onStart: (pid) => process.kill(pid, 'SIGKILL') });
  await assert.rejects(killed, /Cannot plan: the search ended with SIGKILL/);
});

function searchHere({ graph, strategy, ...options }: Job) {
  return searchVariants(graph, strategyNamed(strategy), options);
}

function budgetErrorOf(job: Job): BudgetError {
  try {
    searchHere(job);
  } catch (error) {
    if (error instanceof BudgetError) return error;
    throw error;
  }
  return assert.fail('a byte is enough');
}
