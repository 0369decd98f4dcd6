import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeHealth } from '../../agent/report/health.js';
import { describeInfo } from '../../agent/report/info.js';
import type { SnapshotSources } from '../../agent/report/snapshot.js';
import { takeSnapshot } from '../../agent/report/snapshot.js';

const NO_JOBS = { waiting: 0, running: 0, done: 0, failed: 0, refused: 0, expired: 0, cancelled: 0 };
const PREDICTED = { workingBytes: 20, weightsBytes: 10, peakBytes: 30 };

function createSources(changes: Partial<SnapshotSources> = {}): SnapshotSources {
  return {
    identity: { version: '1.2.3', node: 'pole', maxPayloadBytes: 1000 },
    watch: { budget: { bytes: 64, bound: 'config' } },
    engine: {
      memory: () => ({ residentBytes: 40, privateBytes: 50, idleBytes: 20 }),
      counts: { frame: { ...NO_JOBS, done: 3 }, request: NO_JOBS, upkeep: NO_JOBS },
      executorPid: process.ppid,
    },
    planners: {
      all: [
        {
          name: 'net',
          pressure: 'tight',
          smallestBytes: 12,
          network: { input: { name: 'x', width: 32, height: 16 } },
          plan: { notation: 'stream4', predicted: PREDICTED },
          measured: { workingBytes: 19, latencyMs: 7 },
        },
        {
          name: 'late',
          pressure: 'ok',
          smallestBytes: 0,
          network: { input: { name: 'y', width: 8, height: 8 } },
          plan: undefined,
          measured: undefined,
        },
      ],
    },
    cameras: {
      counts: [{ name: 'door', captured: 4, taken: 3, replaced: 1, processed: 3, skipped: 0, failed: 0 }],
    },
    hub: { counts: [] },
    ...changes,
  };
}

test('takeSnapshot() reads all parts at one moment, and the processes', async () => {
  const snapshot = await takeSnapshot(createSources());
  assert.ok(Math.abs(Date.parse(snapshot.at) - Date.now()) < 60_000);
  assert.equal(snapshot.queue.frame.done, 3);
  assert.deepEqual(snapshot.processes.map(({ name }) => name).toSorted(), ['agent', 'executor']);
  for (const { rssBytes } of snapshot.processes) assert.ok(rssBytes > 2 ** 20);
});

test('takeSnapshot() has no process table where a process is gone, but everything else', async () => {
  const sources = createSources();
  const { engine } = sources;
  const gone = { memory: engine.memory, counts: engine.counts, executorPid: 2 ** 22 - 1 };
  const snapshot = await takeSnapshot({ ...sources, engine: gone });
  assert.equal(snapshot.models.length, 2);
  assert.ok(snapshot.processes.every(({ name }) => name === 'agent'));
});

test('describeInfo() renders what a node is', async () => {
  const info = describeInfo(await takeSnapshot(createSources()), { base: 'site/mafat' });
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

test('describeHealth() renders how a node does', async () => {
  const { at: _, processes: __, ...health } = describeHealth(await takeSnapshot(createSources()));
  assert.deepEqual(health, {
    budget: { bytes: 64, bound: 'config' },
    executor: { residentBytes: 40, privateBytes: 50, idleBytes: 20 },
    models: [
      { name: 'net', pressure: 'tight', plan: 'stream4', measured: { workingBytes: 19, latencyMs: 7 } },
      { name: 'late', pressure: 'ok', plan: null, measured: null },
    ],
    cameras: [{ name: 'door', captured: 4, taken: 3, replaced: 1, processed: 3, skipped: 0, failed: 0 }],
  });
});
