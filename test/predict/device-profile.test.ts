import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CostEntry, DeviceProfile, Kernels } from '../../shared/predict/index.js';
import {
  BUILT_IN_PROFILE,
  costEntryFor,
  costsFor,
  emptyWork,
  isBlocked,
  KERNELS,
  kernelsOf,
  LEVELS,
  latencyOf,
  WORK_KINDS,
} from '../../shared/predict/index.js';

/** Entries that differ in the cost of a step. They are out of order, as a store may give them. */
const PROFILE: DeviceProfile = {
  source: 'test',
  entries: [entry('plain', 4), entry('blocked', 2), entry('plain', 2), entry('blocked', 4)],
};

test('kernelsOf() is blocked from layout on', () => {
  assert.deepEqual(LEVELS.filter(isBlocked), ['layout', 'all']);
  for (const level of LEVELS) assert.equal(kernelsOf(level), isBlocked(level) ? 'blocked' : 'plain');
});

test('costEntryFor() takes the number of threads, else the next smaller, else the smallest', () => {
  const cases = [
    [1, 2],
    [2, 2],
    [3, 2],
    [4, 4],
    [64, 4],
  ] as const;
  for (const [threads, expected] of cases) {
    for (const level of ['extended', 'all'] as const) {
      const found = costEntryFor(PROFILE, { level, threads });
      assert.deepEqual([found.kernels, found.threads], [kernelsOf(level), expected], `${threads} ${level}`);
    }
  }
});

test('costEntryFor() refuses a profile without such kernels, naming them and where it comes from', () => {
  const profile = { source: 'test', entries: [entry('plain', 1)] };
  for (const level of ['layout', 'all'] as const) {
    assert.throws(() => costEntryFor(profile, { level, threads: 1 }), {
      name: 'RangeError',
      message: 'Cannot predict by profile test: it has no blocked kernels',
    });
  }
});

test('costsFor() counts no faults where memory is retained, and changes nothing else', () => {
  for (const level of LEVELS) {
    const settings = { level, threads: 2 };
    const { costs } = costEntryFor(PROFILE, settings);
    assert.ok(costs.faultedBytes > 0);
    assert.deepEqual(costsFor(PROFILE, settings), costs, 'trimmed if absent');
    assert.deepEqual(costsFor(PROFILE, { ...settings, allocator: 'glibc' }), costs);
    assert.deepEqual(costsFor(PROFILE, { ...settings, allocator: 'jemalloc' }), {
      ...costs,
      faultedBytes: 0,
      hugeBytes: 0,
    });
  }
});

test('BUILT_IN_PROFILE has finite costs for every level and number of threads', () => {
  for (const kernels of KERNELS) assert.ok(BUILT_IN_PROFILE.entries.some((one) => one.kernels === kernels));
  for (const level of LEVELS) {
    for (const threads of [1, 2, 3, 8]) {
      const costs = costsFor(BUILT_IN_PROFILE, { level, threads });
      assert.ok(WORK_KINDS.every((kind) => Number.isFinite(costs[kind]) && costs[kind] > 0));
    }
  }
});

test('latencyOf() sums amounts times nanoseconds to milliseconds', () => {
  assert.equal(latencyOf(emptyWork(), entry('plain', 1).costs), 0);
  const work = { ...emptyWork(), steps: 2, calls: 500_000 };
  const costs = { ...emptyWork(), steps: 1_000_000, calls: 2, denseMacs: 1e9 };
  assert.equal(latencyOf(work, costs), 3);
});

function entry(kernels: Kernels, threads: number): CostEntry {
  const costs = Object.fromEntries(WORK_KINDS.map((kind, at) => [kind, (at + 1) * threads]));
  return { kernels, threads, costs: costs as CostEntry['costs'] };
}
