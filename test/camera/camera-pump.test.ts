import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Camera, OnFrame } from '../../agent/camera/camera.js';
import type { FrameFate, PumpHandlers, PumpOptions } from '../../agent/camera/camera-pump.js';
import { CameraPump } from '../../agent/camera/camera-pump.js';

test('CameraPump counts frames as processed, skipped, still or failed, and goes on after each', async () => {
  const { camera, pump, seen, errors, finish } = setUp();
  pump.start();
  const fates = ['processed', 'skipped', 'failed', 'still', 'processed'] as const;
  for (const [at, fate] of fates.entries()) {
    camera.give(`${at}`);
    await turn();
    finish(fate);
    await turn();
  }
  assert.deepEqual(seen, ['0', '1', '2', '3', '4']);
  assert.deepEqual(pump.counts, {
    ...{ captured: 5, taken: 5, replaced: 0 },
    ...{ processed: 2, skipped: 1, still: 1, failed: 1 },
  });
  assert.deepEqual(errors, ['frame 2 failed']);
  await pump.stop();
});

test('CameraPump processes one frame at a time, and the latest next', async () => {
  const { camera, pump, seen, finish } = setUp();
  pump.start();
  camera.give('0');
  await turn();
  for (const name of ['1', '2', '3']) camera.give(name);
  await turn();
  assert.deepEqual(seen, ['0'], 'the first frame is still in process');
  finish('processed');
  await turn();
  assert.deepEqual(seen, ['0', '3']);
  assert.deepEqual(pump.counts, {
    ...{ captured: 4, taken: 2, replaced: 2 },
    ...{ processed: 1, skipped: 0, still: 0, failed: 0 },
  });
  finish('processed');
  await pump.stop();
});

test('CameraPump.stop() stops the camera, waits for the frame in process, and takes no other', async () => {
  const { camera, pump, seen, finish } = setUp();
  pump.start();
  camera.give('0');
  await turn();
  camera.give('1');
  let isStopped = false;
  const stopping = pump.stop().then(() => {
    isStopped = true;
  });
  await turn();
  assert.deepEqual([camera.isRunning, isStopped], [false, false]);
  finish('processed');
  await stopping;
  assert.deepEqual(seen, ['0']);
  assert.equal(pump.counts.processed, 1);
});

test('CameraPump.stop() ends a pump that waits for a frame, or was never started', async () => {
  const { pump } = setUp();
  await pump.stop();
  pump.start();
  await turn();
  await pump.stop();
  await pump.stop();
  assert.equal(pump.counts.captured, 0);
});

test('CameraPump.setEnabled() switches the camera, and the last call counts', async () => {
  const { camera, pump } = setUp({ isEnabled: false });
  pump.start();
  assert.deepEqual([camera.isRunning, pump.status.state], [false, 'disabled']);
  await pump.setEnabled(true);
  assert.deepEqual([camera.isRunning, pump.status.state], [true, 'running']);
  await Promise.all([pump.setEnabled(false), pump.setEnabled(true), pump.setEnabled(false)]);
  assert.equal(camera.isRunning, false);
  await pump.setEnabled(true);
  await pump.stop();
  await pump.setEnabled(true);
  assert.equal(camera.isRunning, false, 'a pump that is stopped starts no camera');
});

test('CameraPump releases each frame once, when it is replaced or was processed, well or not', async () => {
  const { camera, pump, finish } = setUp();
  pump.start();
  camera.give('0');
  await turn();
  camera.give('1');
  camera.give('2');
  assert.deepEqual(camera.released, ['1']);
  finish('processed');
  await turn();
  finish('failed');
  await turn();
  assert.deepEqual(camera.released, ['1', '0', '2']);
  await pump.stop();
});

/** A camera that gives a frame when the test says so. */
class HandCamera implements Camera {
  readonly name = 'hand';
  readonly released: string[] = [];
  #onFrame: OnFrame | undefined;

  get isRunning(): boolean {
    return this.#onFrame !== undefined;
  }

  start(onFrame: OnFrame): void {
    this.#onFrame = onFrame;
  }

  stop(): void {
    this.#onFrame = undefined;
  }

  give(path: string): void {
    this.#onFrame?.({ kind: 'file', path }, () => this.released.push(path));
  }
}

type Fate = FrameFate | 'failed';

/** A pump whose frames end by `finish`, in order. */
function setUp(options: PumpOptions = {}) {
  const camera = new HandCamera();
  const seen: string[] = [];
  const errors: string[] = [];
  const ends: ((fate: Fate) => void)[] = [];
  const handlers: PumpHandlers = {
    process: async (frame) => {
      const path = frame.kind === 'file' ? frame.path : assert.fail('not a file');
      seen.push(path);
      const fate = await new Promise<Fate>((resolve) => ends.push(resolve));
      if (fate === 'failed') throw new Error(`frame ${path} failed`);
      return fate;
    },
    onError: (error) => errors.push(error instanceof Error ? error.message : String(error)),
  };
  const pump = new CameraPump(camera, handlers, options);
  const finish = (fate: Fate) => (ends.shift() ?? assert.fail('no frame is in process'))(fate);
  return { camera, pump, seen, errors, finish };
}
