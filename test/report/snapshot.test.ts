import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeHealth } from '../../agent/report/health.js';
import { describeInfo } from '../../agent/report/info.js';
import { readProcesses } from '../../agent/report/process-usage.js';
import { readServiceMemory } from '../../agent/report/service-memory.js';
import type { SnapshotSources } from '../../agent/report/snapshot.js';
import { takeSnapshot } from '../../agent/report/snapshot.js';
import type { CameraReport } from '../../shared/wire/index.js';

const NO_JOBS = { waiting: 0, running: 0, done: 0, failed: 0, refused: 0, expired: 0, cancelled: 0 };
const AT = '2026-11-26T00:00:00.000Z';
const DOOR: CameraReport = {
  ...{ name: 'door', state: 'waiting', reason: 'no frame for 10 s', broken: 2 },
  ...{ captured: 4, taken: 3, replaced: 1, processed: 3, skipped: 0, still: 0, failed: 0 },
};
const PREDICTED = { workingBytes: 20, weightsBytes: 10, peakBytes: 30 };

function createSources(changes: Partial<SnapshotSources> = {}): SnapshotSources {
  return {
    identity: { version: '1.2.3', node: 'pole', configFault: null, maxPayloadBytes: 1000 },
    watch: { budget: { bytes: 64, bound: 'config' }, cgroups: [] },
    engine: {
      memory: () => ({ pid: process.ppid, residentBytes: 40, privateBytes: 50, idleBytes: 20 }),
      contract: { kind: 'cgroup1', limitBytes: 70 },
      ends: { count: 1, last: { reason: 'hung', text: 'no sign of life', at: AT } },
      counts: { frame: { ...NO_JOBS, done: 3 }, request: NO_JOBS, upkeep: NO_JOBS, snapshot: NO_JOBS },
    },
    store: { path: '/var/agent.db', problem: undefined },
    check: { state: { at: AT, passed: 2, failed: 0, fault: null } },
    spool: { state: { waiting: 1, waitingBytes: 20, dropped: 0 } },
    planners: {
      failures: [{ name: 'late', reason: 'no such folder' }],
      searchPid: undefined,
      all: [
        {
          name: 'net',
          pressure: 'tight',
          smallestBytes: 12,
          network: { input: { name: 'x', width: 32, height: 16 } },
          plan: { notation: 'stream4', predicted: PREDICTED },
          memory: { promisedBytes: 21, measuredBytes: 19, latencyMs: 7 },
        },
        {
          name: 'late',
          pressure: 'ok',
          smallestBytes: 0,
          network: { input: { name: 'y', width: 8, height: 8 } },
          plan: undefined,
          memory: null,
        },
      ],
    },
    cameras: {
      counts: [DOOR],
      pids: [],
    },
    hub: { counts: [] },
    ...changes,
  };
}

test('takeSnapshot() reads all parts at one moment', () => {
  const snapshot = takeSnapshot(createSources());
  assert.ok(Math.abs(Date.parse(snapshot.at) - Date.now()) < 60_000);
  assert.equal(snapshot.queue.frame.done, 3);
  assert.equal(snapshot.executor.pid, process.ppid);
});

test('readProcesses() reads the agent and the executor', async () => {
  const processes = await readProcesses(process.ppid);
  assert.deepEqual(processes.map(({ name }) => name).toSorted(), ['agent', 'executor']);
  for (const { rssBytes } of processes) assert.ok(rssBytes > 2 ** 20);
});

test('readProcesses() reads the agent alone while there is no executor', async () => {
  assert.deepEqual(
    (await readProcesses(null)).map(({ name }) => name),
    ['agent'],
  );
});

test('readProcesses() leaves out a process that is gone', async () => {
  const processes = await readProcesses(2 ** 22 - 1);
  assert.ok(processes.every(({ name }) => name === 'agent'));
});

test('describeInfo() renders what a node is', () => {
  const info = describeInfo(takeSnapshot(createSources()), { base: 'site/mafat' });
  assert.deepEqual(info, {
    version: '1.2.3',
    node: 'pole',
    maxPayloadBytes: 1000,
    models: [
      {
        name: 'net',
        inferTopic: 'site/mafat/pole/v2/models/net/infer',
        input: { name: 'x', width: 32, height: 16 },
        plan: { notation: 'stream4', predicted: PREDICTED },
        smallestBytes: 12,
      },
      {
        name: 'late',
        inferTopic: 'site/mafat/pole/v2/models/late/infer',
        input: { name: 'y', width: 8, height: 8 },
        plan: null,
        smallestBytes: 0,
      },
    ],
  });
});

test('describeHealth() renders how a node does', () => {
  const { at: _, service, store, ...health } = describeHealth(takeSnapshot(createSources()), []);
  assert.deepEqual(health, {
    configFault: null,
    budget: { bytes: 64, bound: 'config' },
    executor: {
      residentBytes: 40,
      privateBytes: 50,
      idleBytes: 20,
      contract: { kind: 'cgroup1', limitBytes: 70 },
      ends: { count: 1, last: { reason: 'hung', text: 'no sign of life', at: AT } },
    },
    check: { at: AT, passed: 2, failed: 0, fault: null },
    spool: { waiting: 1, waitingBytes: 20, dropped: 0 },
    models: [
      {
        name: 'net',
        pressure: 'tight',
        plan: 'stream4',
        memory: { promisedBytes: 21, measuredBytes: 19, latencyMs: 7 },
        failure: null,
      },
      { name: 'late', pressure: 'ok', plan: null, memory: null, failure: 'no such folder' },
    ],
    cameras: [DOOR],
    queue: { frame: { ...NO_JOBS, done: 3 }, request: NO_JOBS, upkeep: NO_JOBS, snapshot: NO_JOBS },
    events: [],
    processes: [],
  });
  assert.ok(service.privateBytes > 2 ** 20);
  assert.equal(service.cgroup, null);
  assert.equal(store.problem, null);
  assert.ok(store.writtenBytes === null || store.writtenBytes >= 0);
});

test('readServiceMemory() adds up all processes, and leaves out one that is gone', () => {
  const group = { version: 1, path: '/mafat', maxBytes: undefined, highBytes: undefined } as const;
  const groups = [{ ...group, currentBytes: 7, reclaimableBytes: 0 }];
  const alone = readServiceMemory([process.pid], groups);
  const both = readServiceMemory([process.pid, process.ppid, 2 ** 22 - 1], groups);
  assert.ok(both.privateBytes > alone.privateBytes);
  assert.ok(both.pssBytes === null || both.pssBytes > (alone.pssBytes ?? 0));
  assert.deepEqual(both.cgroup, { path: '/mafat', currentBytes: 7, maxBytes: null });
});
