import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BudgetOptions } from '../../agent/board/budget.js';
import { computeBudget, measureRoom } from '../../agent/board/budget.js';
import type { CgroupMemory, MemoryReading } from '../../agent/board/read-memory.js';
import { MB } from './fake-tree.js';

const NO_STALL = { stallPercent: undefined, ownStallPercent: undefined };

const IDLE: BudgetOptions = { floorRatio: 0.15, executorBytes: 50 * MB, idleBytes: 50 * MB };

test('computeBudget() takes what is available above the floor, and counts swap as zero', () => {
  assert.deepEqual(computeBudget(readingOf(400), IDLE), { bytes: 250 * MB, bound: 'MemAvailable' });
});

test('computeBudget() adds what the executor holds above idle', () => {
  const holding = { ...IDLE, executorBytes: 90 * MB };
  assert.equal(computeBudget(readingOf(400), holding).bytes, 290 * MB);
});

test('computeBudget() adds what a search holds, in the board and in groups', () => {
  const searching = { ...IDLE, plannerBytes: 20 * MB };
  assert.equal(computeBudget(readingOf(400), searching).bytes, 270 * MB);
  const groups = [groupOf('/a', { maxBytes: 200 * MB, currentBytes: 100 * MB })];
  assert.equal(computeBudget(readingOf(400, groups), searching).bytes, 120 * MB);
});

test('computeBudget() leaves room for the idle state when there is no executor yet', () => {
  assert.equal(computeBudget(readingOf(400), { ...IDLE, executorBytes: 0 }).bytes, 200 * MB);
});

test('computeBudget() names the ancestor that leaves least, the smaller of its limits counting', () => {
  const groups = [
    groupOf('/a/b', { maxBytes: 300 * MB, currentBytes: 100 * MB }),
    groupOf('/a', {
      maxBytes: 900 * MB,
      highBytes: 500 * MB,
      currentBytes: 350 * MB,
      reclaimableBytes: 30 * MB,
    }),
    groupOf('/', { currentBytes: 800 * MB }),
  ];
  assert.deepEqual(computeBudget(readingOf(400, groups), IDLE), { bytes: 180 * MB, bound: 'cgroup /a' });
});

test('computeBudget() stays within memory.max when the executor was read later than its group', () => {
  const groups = [groupOf('/a', { maxBytes: 60 * MB, currentBytes: 10 * MB })];
  const late = { ...IDLE, executorBytes: 100 * MB };
  assert.deepEqual(computeBudget(readingOf(400, groups), late), { bytes: 60 * MB, bound: 'cgroup /a' });
});

test('computeBudget() is capped by the budget of the config, and never raised to it', () => {
  const capped = computeBudget(readingOf(400), { ...IDLE, fixedBytes: 32 * MB });
  assert.deepEqual(capped, { bytes: 32 * MB, bound: 'config' });
  assert.equal(computeBudget(readingOf(400), { ...IDLE, fixedBytes: 999 * MB }).bound, 'MemAvailable');
});

test('computeBudget() is 0 below the floor, above a limit, and when nothing is known', () => {
  assert.deepEqual(computeBudget(readingOf(100), IDLE), { bytes: 0, bound: 'MemAvailable' });
  const over = [groupOf('/a', { highBytes: 10 * MB, currentBytes: 20 * MB })];
  assert.deepEqual(computeBudget(readingOf(400, over), IDLE), { bytes: 0, bound: 'cgroup /a' });
  const nothing: MemoryReading = { board: undefined, cgroups: [], ...NO_STALL };
  assert.deepEqual(computeBudget(nothing, IDLE), { bytes: 0, bound: 'nothing known' });
  assert.deepEqual(computeBudget(nothing, { ...IDLE, fixedBytes: MB }), { bytes: MB, bound: 'config' });
  assert.equal(measureRoom(nothing, 0.15), undefined);
});

test('computeBudget() never exceeds any bound, and meets the one it names', () => {
  fc.assert(
    fc.property(readings(), budgetOptions(), (reading, options) => {
      const { bytes, bound } = computeBudget(reading, options);
      const bounds = naiveBounds(reading, options);
      assert.ok(bytes >= 0 && Number.isSafeInteger(bytes));
      for (const other of bounds) {
        assert.ok(bytes <= Math.max(0, other.bytes), `${bytes} exceeds ${other.bound}`);
      }
      const met = bounds.some((one) => one.bound === bound && Math.max(0, one.bytes) === bytes);
      assert.ok(met || (bounds.length === 0 && bound === 'nothing known'));
    }),
    { numRuns: 1000 },
  );
});

/** The formula of DESIGN.md, term by term. */
function naiveBounds(
  { board, cgroups }: MemoryReading,
  { floorRatio, fixedBytes, executorBytes, idleBytes, plannerBytes = 0 }: BudgetOptions,
): readonly { readonly bytes: number; readonly bound: string }[] {
  const bounds: { bytes: number; bound: string }[] = [];
  const held = executorBytes - idleBytes + plannerBytes;
  if (board !== undefined) {
    bounds.push({
      bytes: board.availableBytes - Math.ceil(floorRatio * board.totalBytes) + held,
      bound: 'MemAvailable',
    });
  }
  for (const { path, maxBytes, highBytes, currentBytes, reclaimableBytes } of cgroups) {
    for (const limit of [maxBytes, highBytes]) {
      if (limit !== undefined) {
        bounds.push({ bytes: limit - currentBytes + reclaimableBytes + held, bound: `cgroup ${path}` });
      }
    }
    if (maxBytes !== undefined) {
      bounds.push({ bytes: maxBytes, bound: `cgroup ${path}` });
    }
  }
  return fixedBytes === undefined ? bounds : [...bounds, { bytes: fixedBytes, bound: 'config' }];
}

function readings(): fc.Arbitrary<MemoryReading> {
  const limit = fc.option(bytes(), { nil: undefined });
  const group = fc.record({
    version: fc.constantFrom(1 as const, 2 as const),
    path: fc.constantFrom('/', '/a', '/a/b'),
    maxBytes: limit,
    highBytes: limit,
    currentBytes: bytes(),
    reclaimableBytes: bytes(),
  });
  const board = fc.record({
    totalBytes: bytes(),
    availableBytes: bytes(),
    swapTotalBytes: bytes(),
    swapFreeBytes: bytes(),
    zramBytes: bytes(),
  });
  return fc.record({
    board: fc.option(board, { nil: undefined }),
    cgroups: fc.array(group, { maxLength: 4 }),
    stallPercent: fc.constant(undefined),
    ownStallPercent: fc.constant(undefined),
  });
}

function budgetOptions(): fc.Arbitrary<BudgetOptions> {
  return fc.record(
    {
      floorRatio: fc.double({ min: 0.1, max: 0.9, noNaN: true }),
      fixedBytes: bytes(),
      executorBytes: bytes(),
      idleBytes: bytes(),
      plannerBytes: bytes(),
    },
    { requiredKeys: ['floorRatio', 'executorBytes', 'idleBytes'] },
  );
}

function bytes(): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: 2 ** 33 });
}

/** A board of 1000 MB. */
function readingOf(availableMb: number, cgroups: readonly CgroupMemory[] = []): MemoryReading {
  const sizes = { totalBytes: 1000 * MB, availableBytes: availableMb * MB };
  return {
    board: { ...sizes, swapTotalBytes: 500 * MB, swapFreeBytes: 500 * MB, zramBytes: 50 * MB },
    cgroups,
    ...NO_STALL,
  };
}

function groupOf(
  path: string,
  values: Partial<CgroupMemory> & { readonly currentBytes: number },
): CgroupMemory {
  return { version: 2, path, maxBytes: undefined, highBytes: undefined, reclaimableBytes: 0, ...values };
}
