import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import fc from 'fast-check';
import { readDevice } from '../../agent/board/machine.js';
import { corrected, deviceProfile, readProfile } from '../../agent/planning/device-profiles.js';
import type { Measurement, StoredCosts } from '../../agent/store/store.js';
import { Store } from '../../agent/store/store.js';
import type { CostEntry, Kernels, WorkAmounts } from '../../shared/predict/index.js';
import { BUILT_IN_PROFILE, WORK_KINDS } from '../../shared/predict/index.js';
import { temporaryFolder } from '../fixtures.js';

const DEVICE = 'device';
const MEASURED_MS = Date.UTC(2026, 10, 1);
const COSTS = Object.fromEntries(WORK_KINDS.map((kind, at) => [kind, at + 1])) as WorkAmounts;
const ENTRY: CostEntry = { kernels: 'plain', threads: 2, costs: COSTS };
const BOTH = [stored('plain'), stored('blocked')];

const RUN: Measurement = {
  model: 'm',
  notation: 'whole',
  level: 'extended',
  allocator: 'glibc',
  threads: 2,
  predictedBytes: 1,
  measuredBytes: 1,
  predictedMs: 10,
  latencyMs: 10,
};

test('readProfile() gives what was stored for this device, and where it comes from', (context) => {
  const { store } = startStore(context);
  assert.equal(readProfile(store, DEVICE), undefined);
  store.saveCosts('another', BOTH);
  assert.equal(readProfile(store, DEVICE), undefined);
  store.saveCosts(DEVICE, BOTH);
  assert.deepEqual(readProfile(store, DEVICE), {
    source: 'measured 2026-11-01T00:00:00.000Z',
    entries: [
      { kernels: 'blocked', threads: 2, costs: COSTS },
      { kernels: 'plain', threads: 2, costs: COSTS },
    ],
  });
});

test('readProfile() asks for this device unless told otherwise', (context) => {
  const { store } = startStore(context);
  store.saveCosts(readDevice(), BOTH);
  assert.equal(readProfile(store)?.entries.length, 2);
});

test('readProfile() leaves out entries of unknown kernels, and such that lack a cost', (context) => {
  const { store } = startStore(context);
  const { steps: _, ...others } = COSTS;
  const unusable = [
    stored('winograd' as Kernels),
    { ...stored('plain'), threads: 1, costs: JSON.stringify(others) },
    { ...stored('plain'), threads: 3, costs: JSON.stringify({ ...COSTS, steps: Number.NaN }) },
    { ...stored('plain'), threads: 4, costs: JSON.stringify({ ...COSTS, steps: '1' }) },
    { ...stored('plain'), threads: 5, costs: '{}' },
    { ...stored('plain'), threads: 6, costs: '[]' },
  ];
  store.saveCosts(DEVICE, [...BOTH, ...unusable]);
  const entries = readProfile(store, DEVICE)?.entries.map(({ kernels, threads }) => `${kernels} ${threads}`);
  assert.deepEqual(entries, ['blocked 2', 'plain 2']);
});

test('readProfile() gives none where either kind of kernels has no entry of use', (context) => {
  const { store } = startStore(context);
  const incomplete = [
    [stored('plain')],
    [stored('blocked')],
    [stored('plain'), { ...stored('blocked'), costs: '{}' }],
    [stored('winograd' as Kernels)],
  ];
  for (const entries of incomplete) {
    store.saveCosts(DEVICE, entries);
    assert.equal(readProfile(store, DEVICE), undefined);
  }
});

test('readProfile() leaves out an entry whose costs are broken JSON or no object', (context) => {
  const { store } = startStore(context);
  for (const costs of ['', '{"steps": 1', 'null']) {
    store.saveCosts(DEVICE, [...BOTH, { ...stored('plain'), threads: 1, costs }]);
    assert.equal(readProfile(store, DEVICE)?.entries.length, 2);
  }
});

test('readProfile() leaves out an entry with a cost below zero', (context) => {
  const { store } = startStore(context);
  const costs = JSON.stringify({ ...COSTS, denseMacs: -1 });
  store.saveCosts(DEVICE, [...BOTH, { ...stored('plain'), threads: 1, costs }]);
  assert.equal(readProfile(store, DEVICE)?.entries.length, 2);
});

test('readProfile() corrects by runs since the costs were measured', (context) => {
  const { store } = startStore(context);
  store.saveCosts(DEVICE, BOTH);
  for (let run = 0; run < 9; run += 1) store.addMeasurement({ ...RUN, latencyMs: 30 }, MEASURED_MS - run);
  assert.deepEqual(correctionsOf(store), { blocked: undefined, plain: undefined });
  for (let run = 1; run <= 5; run += 1) store.addMeasurement({ ...RUN, latencyMs: 15 }, MEASURED_MS + run);
  assert.deepEqual(correctionsOf(store), { blocked: undefined, plain: 1.5 });
  store.saveCosts(DEVICE, [stored('plain', MEASURED_MS + 6), stored('blocked', MEASURED_MS + 6)]);
  assert.deepEqual(correctionsOf(store), { blocked: undefined, plain: undefined });
});

test('corrected() multiplies all costs by the median of measured over predicted latency', () => {
  const { costs, correction, ...rest } = corrected(ENTRY, runsOf(0.9, 1.5, 1.25, 80, 1));
  assert.equal(correction, 1.25);
  assert.deepEqual(rest, { kernels: 'plain', threads: 2 });
  for (const kind of WORK_KINDS) assert.equal(costs[kind], 1.25 * COSTS[kind]);
});

test('corrected() stays as measured with fewer than five runs', () => {
  assert.equal(corrected(ENTRY, []), ENTRY);
  assert.equal(corrected(ENTRY, runsOf(2, 2, 2, 2)), ENTRY);
  assert.equal(corrected(ENTRY, runsOf(2, 2, 2, 2, 2)).correction, 2);
});

test('corrected() stays within half and twice the costs measured', () => {
  const ratios = fc.array(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), { minLength: 5, maxLength: 30 });
  fc.assert(
    fc.property(ratios, (some) => {
      const { correction = 1, costs } = corrected(ENTRY, runsOf(...some));
      assert.ok(correction >= 0.5 && correction <= 2);
      assert.ok(correction <= Math.max(0.5, ...some) * (1 + 1e-9));
      assert.ok(correction >= Math.min(2, ...some) * (1 - 1e-9));
      for (const kind of WORK_KINDS) assert.equal(costs[kind], correction * COSTS[kind]);
    }),
  );
  assert.equal(corrected(ENTRY, runsOf(9, 9, 9, 9, 9)).correction, 2);
  assert.equal(corrected(ENTRY, runsOf(0.1, 0.1, 0.1, 0.1, 0.1)).correction, 0.5);
});

test('corrected() looks at runs of its own kernels and threads alone', () => {
  const own = runsOf(1.5, 1.5, 1.5, 1.5);
  const others = [
    ...runsOf(3, 3, 3, 3, 3).map((run) => ({ ...run, threads: 1 })),
    ...runsOf(3, 3, 3, 3, 3).map((run) => ({ ...run, level: 'all' as const })),
  ];
  assert.equal(corrected(ENTRY, [...others, ...own]), ENTRY);
  const [last] = own;
  assert.ok(last !== undefined);
  const retained = { ...last, allocator: 'jemalloc', level: 'basic' } as const;
  assert.equal(corrected(ENTRY, [...others, ...own, retained]).correction, 1.5);
});

test('corrected() leaves out runs that say nothing', () => {
  const nothing = [
    { ...RUN, predictedMs: 0 },
    { ...RUN, latencyMs: 0 },
    { ...RUN, predictedMs: 0, latencyMs: 0 },
  ];
  assert.equal(corrected(ENTRY, [...runsOf(1.5, 1.5, 1.5, 1.5), ...nothing]), ENTRY);
  assert.equal(corrected(ENTRY, [...runsOf(1.5, 1.5, 1.5, 1.5, 1.5), ...nothing]).correction, 1.5);
});

test('deviceProfile() gives none for a file that is missing, and makes none', (context) => {
  const path = join(temporaryFolder(context), 'none', 'agent.db');
  assert.equal(deviceProfile(path), undefined);
  assert.ok(!existsSync(path));
});

test('deviceProfile() gives none for what is no database', (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'agent.db');
  writeFileSync(path, 'not a database, but long enough to look at'.repeat(50));
  assert.equal(deviceProfile(path), undefined);
  assert.equal(deviceProfile(folder), undefined);
});

test('deviceProfile() gives what a store holds, and leaves it closed', (context) => {
  const { path, store } = startStore(context);
  assert.equal(deviceProfile(path), undefined);
  const entries = BUILT_IN_PROFILE.entries.map(({ costs, ...way }) => ({
    ...way,
    costs: JSON.stringify(costs),
    measuredMs: MEASURED_MS,
  }));
  store.saveCosts(readDevice(), entries);
  store.stop();
  const { source, entries: read = [] } = deviceProfile(path) ?? {};
  assert.equal(source, 'measured 2026-11-01T00:00:00.000Z');
  const byWay = (all: readonly CostEntry[]) =>
    Object.fromEntries(all.map(({ kernels, threads, costs }) => [`${kernels} ${threads}`, costs]));
  assert.deepEqual(byWay(read), byWay(BUILT_IN_PROFILE.entries));
  assert.ok(!existsSync(`${path}-wal`), 'the last one to close takes its log in');
});

function startStore(context: TestContext): { path: string; store: Store } {
  const path = join(temporaryFolder(context), 'agent.db');
  const store = new Store(path);
  store.start();
  context.after(() => store.stop());
  return { path, store };
}

function stored(kernels: Kernels, measuredMs = MEASURED_MS): StoredCosts {
  return { kernels, threads: 2, costs: JSON.stringify(COSTS), measuredMs };
}

/** By measured over predicted latency. */
function runsOf(...ratios: readonly number[]): readonly Measurement[] {
  return ratios.map((ratio) => ({ ...RUN, latencyMs: ratio * RUN.predictedMs }));
}

function correctionsOf(store: Store) {
  const { entries = [] } = readProfile(store, DEVICE) ?? {};
  return Object.fromEntries(entries.map(({ kernels, correction }) => [kernels, correction]));
}
