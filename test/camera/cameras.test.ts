import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Camera } from '../../agent/camera/camera.js';
import { FrameClock } from '../../agent/camera/camera.js';
import { FileCamera } from '../../agent/camera/file-camera.js';
import { FrameSlot } from '../../agent/camera/frame-slot.js';
import { drawFrame, SyntheticCamera } from '../../agent/camera/synthetic-camera.js';
import type { ImageSource } from '../../agent/engine/wire/protocol.js';
import { until } from '../start-agent.js';

test('SyntheticCamera gives frames that move, until it is stopped', async () => {
  const frames = await firstFrames(
    new SyntheticCamera({ name: 'synthetic', width: 64, height: 48, fps: 200 }),
    3,
  );
  const [first, second] = frames;
  assert.ok(first?.kind === 'pixels' && second?.kind === 'pixels');
  assert.equal(first.bytes.length, 64 * 48 * 3);
  assert.notDeepEqual(first.bytes, second.bytes);
});

test('FrameClock never ticks faster than its rate', async () => {
  const clock = new FrameClock(80);
  const startMs = performance.now();
  let ticks = 0;
  let seconds = 0;
  clock.start(() => {
    ticks += 1;
    seconds = (performance.now() - startMs) / 1000;
  });
  await until(() => ticks >= 40);
  clock.stop();
  // A timer may fire a millisecond early.
  assert.ok(ticks <= (seconds + 0.002) * 80, `${ticks} ticks in ${seconds} s`);
});

test('drawFrame() gives the same frame for the same number, and fills odd sizes', () => {
  assert.deepEqual(drawFrame(5, { width: 33, height: 7 }), drawFrame(5, { width: 33, height: 7 }));
});

test('FileCamera gives its files in a loop', async () => {
  const frames = await firstFrames(new FileCamera({ name: 'files', files: ['a.jpg', 'b.jpg'], fps: 200 }), 3);
  assert.deepEqual(
    frames.map((frame) => frame.kind === 'file' && frame.path),
    ['a.jpg', 'b.jpg', 'a.jpg'],
  );
});

test('FrameSlot gives the latest frame and counts the fate of each', async () => {
  const slot = new FrameSlot<number>();
  const { signal } = new AbortController();
  for (const frame of [1, 2, 3]) slot.offer(frame);
  assert.equal(await slot.take(signal), 3);
  assert.deepEqual(slot.counts, { captured: 3, taken: 1, replaced: 2 });
});

test('FrameSlot waits for a frame, or for the end', async () => {
  const slot = new FrameSlot<number>();
  const controller = new AbortController();
  const waiting = slot.take(controller.signal);
  slot.offer(7);
  assert.equal(await waiting, 7);
  const last = slot.take(controller.signal);
  controller.abort(new Error('end'));
  await assert.rejects(last, /end/);
});

function firstFrames(camera: Camera, count: number): Promise<readonly ImageSource[]> {
  const frames: ImageSource[] = [];
  return new Promise((resolve) => {
    camera.start((frame) => {
      frames.push(frame);
      if (frames.length < count) return;
      camera.stop();
      camera.stop();
      resolve(frames);
    });
  });
}
