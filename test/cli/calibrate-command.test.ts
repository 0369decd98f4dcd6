/** The results of `mafat calibrate`, and their storage. It really measures, for half a minute on one core. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readDevice, readMachine } from '../../agent/board/machine.js';
import type { Calibration } from '../../agent/planning/calibrate/calibrate.js';
import { deviceProfile, readProfile } from '../../agent/planning/device-profiles.js';
import { Store } from '../../agent/store/store.js';
import { KERNELS, WORK_KINDS } from '../../shared/predict/index.js';
import { runMafat, temporaryFolder } from '../fixtures.js';

test('mafat calibrate measures all costs, prints them as JSON and keeps them for this device', (context) => {
  keepToOneCore();
  const folder = temporaryFolder(context);
  const path = join(folder, 'state', 'agent.db');
  const { code, stdout, stderr } = runMafat(join(folder, 'models'), 'calibrate', '--json', '--store', path);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, 'progress is for terminals');
  const printed = JSON.parse(stdout) as Calibration & { readonly device: string; readonly store: string };
  assert.deepEqual(Object.keys(printed), ['device', 'store', 'entries', 'idleBytes']);
  assert.deepEqual([printed.device, printed.store], [readDevice(), path]);
  assert.ok(Number.isSafeInteger(printed.idleBytes) && printed.idleBytes > 2 ** 20, `${printed.idleBytes}`);
  assertWhole(printed.entries);
  assertKept(printed, path);
});

test('mafat calibrate says before it measures that the costs cannot be kept', (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'agent.db');
  const garbage = 'not a database, but long enough to look at'.repeat(50);
  writeFileSync(path, garbage);
  const { code, stdout, stderr } = runMafat(folder, 'calibrate', '--store', path);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
  assert.match(stderr, /^mafat: Cannot open store .*agent\.db: file is not a database/);
  assert.equal(readFileSync(path, 'utf8'), garbage);
  const inFile = runMafat(folder, 'calibrate', '--store', join(path, 'agent.db'));
  assert.equal(inFile.code, 1);
  assert.match(inFile.stderr, /^mafat: .*agent\.db/);
});

/** Asserts that each kind of kernels and number of threads has all costs. */
function assertWhole(entries: Calibration['entries']): void {
  const counts = [...new Set([1, availableParallelism()])];
  const expected = KERNELS.flatMap((kernels) => counts.map((threads) => ({ kernels, threads })));
  assert.deepEqual(
    entries.map(({ kernels, threads }) => ({ kernels, threads })),
    expected,
  );
  for (const { kernels, threads, costs, errorRatio } of entries) {
    const where = `${kernels}, ${threads} threads`;
    assert.deepEqual(Object.keys(costs), [...WORK_KINDS]);
    for (const kind of WORK_KINDS)
      assert.ok(Number.isFinite(costs[kind]) && costs[kind] >= 0, `${where}: ${kind}`);
    assert.ok(Math.max(costs.pointwiseMacs, costs.denseMacs, costs.groupedMacs) > 0, where);
    assert.ok(Number.isFinite(errorRatio) && errorRatio >= 0, where);
  }
  const costsOf = (wanted: string) =>
    entries.filter(({ kernels }) => kernels === wanted).map(({ costs }) => costs);
  if (readMachine() === undefined) assert.deepEqual(costsOf('blocked'), costsOf('plain'));
}

/** Asserts that the stored costs are the printed ones, by each way to read them. */
function assertKept({ device, entries }: Calibration & { readonly device: string }, path: string): void {
  const store = new Store(path);
  store.start();
  const profile = readProfile(store, device);
  store.stop();
  assert.match(profile?.source ?? '', /^measured \d{4}-\d\d-\d\dT/);
  const byWay = (all: readonly Pick<Calibration['entries'][number], 'kernels' | 'threads' | 'costs'>[]) =>
    Object.fromEntries(all.map(({ kernels, threads, costs }) => [`${kernels} ${threads}`, costs]));
  assert.deepEqual(byWay(profile?.entries ?? []), byWay(entries));
  assert.deepEqual(deviceProfile(path), profile);
  assert.ok(!existsSync(`${path}-wal`), 'the store was closed');
}

/** Binds this process and its children to one core, so that less is measured. Without `taskset` it takes longer. */
function keepToOneCore(): void {
  const allowed = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  spawnSync('taskset', ['--pid', '--cpu-list', allowed, String(process.pid)]);
}
