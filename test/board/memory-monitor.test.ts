import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import fc from 'fast-check';
import { intervalSeconds, MemoryMonitor } from '../../agent/board/memory-monitor.js';
import type { MemoryReading } from '../../agent/board/read-memory.js';
import { MB } from './fake-tree.js';

const LIMITS = { minIntervalSeconds: 0.1, maxIntervalSeconds: 5 };

test('MemoryMonitor samples at once, then rarely with much room and often with little', (context) => {
  const run = startMonitor(context, 3000);
  assert.equal(run.samples.length, 1);
  run.pass(4999);
  assert.equal(run.samples.length, 1);
  run.pass(1);
  assert.equal(run.samples.length, 2);
  // 128 MB of room that don't change: gone in 2 s at the assumed rate, so a look each second.
  run.available = 228;
  run.pass(5000);
  run.pass(1000);
  const before = run.samples.length;
  run.pass(10_000);
  assert.equal(run.samples.length, before + 10);
});

test('MemoryMonitor samples often when memory falls fast', (context) => {
  const run = startMonitor(context, 3000);
  run.available = 1100;
  run.pass(5000);
  // 380 MB/s, 1000 MB left: gone in 2.6 s.
  run.pass(1315);
  assert.equal(run.samples.length, 2);
  run.pass(1);
  assert.equal(run.samples.length, 3);
});

test('MemoryMonitor samples at the shortest interval below the floor, at the longest when nothing is known', (context) => {
  const run = startMonitor(context, 50);
  run.pass(1000);
  assert.equal(run.samples.length, 11);
  run.available = undefined;
  run.pass(100);
  run.pass(4999);
  assert.equal(run.samples.length, 12);
  run.pass(1);
  assert.equal(run.samples.length, 13);
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

test('intervalSeconds() stays within its limits, and is no longer with less room or a faster fall', () => {
  const room = fc.integer({ min: -(2 ** 33), max: 2 ** 33 });
  fc.assert(
    fc.property(room, room, room, room, (roomBytes, moreBytes, fallPerSecond, morePerSecond) => {
      const seconds = (bytes: number, perSecond: number) =>
        intervalSeconds({ roomBytes: bytes }, { ...LIMITS, fallPerSecond: perSecond });
      const plain = seconds(roomBytes, fallPerSecond);
      assert.ok(plain >= LIMITS.minIntervalSeconds && plain <= LIMITS.maxIntervalSeconds);
      assert.ok(seconds(Math.max(roomBytes, moreBytes), fallPerSecond) >= plain);
      assert.ok(seconds(roomBytes, Math.max(fallPerSecond, morePerSecond)) <= plain);
    }),
  );
});

interface Run {
  readonly monitor: MemoryMonitor;
  readonly samples: readonly MemoryReading[];
  /** MB available of 1000, the floor at 100; undefined: can't be read. */
  available: number | undefined;
  pass(ms: number): void;
}

/** A monitor on a clock that moves only by `pass`. */
function startMonitor(context: TestContext, available: number): Run {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const samples: MemoryReading[] = [];
  let nowMs = 0;
  const monitor = new MemoryMonitor({
    ...LIMITS,
    floorRatio: 0.1,
    read: () => readingOf(run.available),
    onSample: (reading) => samples.push(reading),
    nowMs: () => nowMs,
  });
  const run: Run = {
    monitor,
    samples,
    available,
    pass: (ms) => {
      for (let passed = 0; passed < ms; passed += 1) {
        nowMs += 1;
        context.mock.timers.tick(1);
      }
    },
  };
  assert.equal(samples.length, 0, 'the constructor only stores fields');
  monitor.start();
  context.after(() => monitor.stop());
  return run;
}

function readingOf(availableMb: number | undefined): MemoryReading {
  const swap = { swapTotalBytes: 0, swapFreeBytes: 0 };
  const board =
    availableMb === undefined
      ? undefined
      : { totalBytes: 1000 * MB, availableBytes: availableMb * MB, ...swap };
  return { board, cgroups: [], stallPercent: undefined };
}
