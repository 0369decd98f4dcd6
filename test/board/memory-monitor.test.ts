import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import fc from 'fast-check';
import { intervalSeconds, MemoryMonitor } from '../../agent/board/memory-monitor.js';
import type { MemoryReading } from '../../agent/board/read-memory.js';
import { MB } from './fake-tree.js';

const LIMITS = { minIntervalSeconds: 0.1, maxIntervalSeconds: 5 };

test('MemoryMonitor samples at once, then rarely with ample room and often with little', (context) => {
  const run = startMonitor(context, 30_000);
  assert.equal(run.samples.length, 1);
  run.pass(4999);
  assert.equal(run.samples.length, 1);
  run.pass(1);
  assert.equal(run.samples.length, 2);
  // 4096 MB of room: gone in 2 s at the assumed rate, so a look each second.
  run.available = 4196;
  run.pass(5000);
  const before = run.samples.length;
  run.pass(10_000);
  assert.equal(run.samples.length, before + 10);
  run.available = 300;
  run.pass(1000);
  assert.equal(run.samples.length, before + 11);
  run.pass(1000);
  assert.equal(run.samples.length, before + 21);
});

test('MemoryMonitor notices within 200 ms when a neighbour takes 2 GB in a second', (context) => {
  const run = startMonitor(context, 2400);
  let noticedAtMs: number | undefined;
  for (let nowMs = 0; nowMs < 1500; nowMs += 1) {
    run.available = Math.max(200, 2400 - 2.2 * nowMs);
    run.pass(1);
    const seen = run.samples.at(-1)?.board?.availableBytes ?? Infinity;
    if (seen <= 200 * MB) noticedAtMs ??= nowMs;
  }
  assert.ok(noticedAtMs !== undefined && noticedAtMs <= 1000 + 200, `${noticedAtMs}`);
});

test('MemoryMonitor samples at the shortest interval below the floor and while tasks wait, at the longest when nothing is known', (context) => {
  const run = startMonitor(context, 50);
  run.pass(1000);
  assert.equal(run.samples.length, 11);
  run.available = undefined;
  run.pass(100);
  run.pass(4999);
  assert.equal(run.samples.length, 12);
  run.stallPercent = 10;
  run.pass(1);
  assert.equal(run.samples.length, 13);
  run.pass(1000);
  assert.equal(run.samples.length, 23);
});

test('MemoryMonitor.sampleNow() samples at once, and not while it is stopped', (context) => {
  const run = startMonitor(context, 30_000);
  run.pass(1000);
  run.monitor.sampleNow();
  assert.equal(run.samples.length, 2);
  run.pass(4999);
  assert.equal(run.samples.length, 2, 'the interval begins anew');
  run.pass(1);
  assert.equal(run.samples.length, 3);
  run.monitor.stop();
  run.monitor.sampleNow();
  assert.equal(run.samples.length, 3);
});

test('MemoryMonitor does nothing before start(), and start() and stop() twice are as once', (context) => {
  const run = startMonitor(context, 50);
  run.monitor.start();
  assert.equal(run.samples.length, 1);
  run.monitor.stop();
  run.monitor.stop();
  run.pass(10_000);
  assert.equal(run.samples.length, 1);
  run.monitor.start();
  assert.equal(run.samples.length, 2);
});

test('MemoryMonitor can be stopped by who gets the sample', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let samples = 0;
  const monitor = new MemoryMonitor({
    ...LIMITS,
    floorRatio: 0.1,
    read: () => readingOf(50),
    onSample: () => {
      samples += 1;
      monitor.stop();
    },
  });
  monitor.start();
  context.mock.timers.tick(10_000);
  assert.equal(samples, 1);
});

test('MemoryMonitor keeps no process alive', (context) => {
  // Counts only timers that do.
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const options = { ...LIMITS, floorRatio: 0.1, read: () => readingOf(50), onSample: () => undefined };
  const monitor = new MemoryMonitor(options);
  context.after(() => monitor.stop());
  monitor.start();
  assert.equal(timers(), before);
});

test('intervalSeconds() stays within its limits, and is no longer with less room or while tasks wait', () => {
  const room = fc.option(fc.integer({ min: -(2 ** 33), max: 2 ** 36 }), { nil: undefined });
  fc.assert(
    fc.property(room, room, fc.boolean(), (roomBytes, otherBytes, isStalled) => {
      const seconds = (bytes: number | undefined, stalled: boolean) =>
        intervalSeconds({ roomBytes: bytes, isStalled: stalled }, LIMITS);
      const plain = seconds(roomBytes, isStalled);
      assert.ok(plain >= LIMITS.minIntervalSeconds && plain <= LIMITS.maxIntervalSeconds);
      const least = Math.min(roomBytes ?? Infinity, otherBytes ?? Infinity);
      assert.ok(seconds(least, isStalled) <= plain);
      assert.equal(seconds(roomBytes, true), LIMITS.minIntervalSeconds);
    }),
  );
});

interface Run {
  readonly monitor: MemoryMonitor;
  readonly samples: readonly MemoryReading[];
  /** MB available, with the floor at 100; undefined: can't be read. */
  available: number | undefined;
  stallPercent: number | undefined;
  pass(ms: number): void;
}

/** A monitor on a clock that moves only by `pass`. */
function startMonitor(context: TestContext, available: number): Run {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const samples: MemoryReading[] = [];
  const monitor = new MemoryMonitor({
    ...LIMITS,
    floorRatio: 0.1,
    read: () => readingOf(run.available, run.stallPercent),
    onSample: (reading) => samples.push(reading),
  });
  const run: Run = {
    monitor,
    samples,
    available,
    stallPercent: undefined,
    pass: (ms) => {
      for (let passed = 0; passed < ms; passed += 1) context.mock.timers.tick(1);
    },
  };
  assert.equal(samples.length, 0, 'the constructor only stores fields');
  monitor.start();
  context.after(() => monitor.stop());
  return run;
}

function readingOf(availableMb: number | undefined, stallPercent?: number): MemoryReading {
  const swap = { swapTotalBytes: 0, swapFreeBytes: 0, zramBytes: 0 };
  const board =
    availableMb === undefined
      ? undefined
      : { totalBytes: 1000 * MB, availableBytes: availableMb * MB, ...swap };
  return { board, cgroups: [], stallPercent, ownStallPercent: undefined };
}
