import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Logger } from 'pino';
import type { Camera } from '../../agent/camera/camera.js';
import { FrameClock } from '../../agent/camera/camera.js';
import { Cameras } from '../../agent/camera/cameras.js';
import { FileCamera } from '../../agent/camera/file-camera.js';
import { FrameSlot } from '../../agent/camera/frame-slot.js';
import { drawFrame, SyntheticCamera } from '../../agent/camera/synthetic-camera.js';
import { parseConfig } from '../../agent/config/load-config.js';
import type { ImageSource } from '../../agent/engine/wire/protocol.js';
import { EventHub } from '../../agent/events/event-hub.js';
import type { Inference } from '../../agent/serve/infer.js';
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

test('Cameras starts all cameras but those whose labels the model lacks, and says so', async () => {
  const errors: string[] = [];
  const { cameras: configs } = parseConfig(
    `models: [{ name: net }]
cameras:
  - { kind: file, name: good, model: net, files: [a.jpg], fps: 100, labels: [person] }
  - { kind: file, name: bad, model: net, files: [a.jpg], fps: 100, labels: [persn] }`,
    'a.yaml',
  );
  const infer = async () => ({ plan: 'whole', latencyMs: 1, readMs: 1, image: { width: 4, height: 4 } });
  const cameras = new Cameras(configs, {
    inference: { boxLabels: () => ['person'], infer } as unknown as Inference,
    engine: { draw: () => assert.fail('no snapshot is configured') },
    inputOf: () => undefined,
    hub: new EventHub({ onError: (_, error) => assert.fail(String(error)) }),
    log: { error: ({ error }: { error: string }) => errors.push(error) } as unknown as Logger,
  });
  await cameras.start();
  await until(() => (cameras.counts[0]?.processed ?? 0) > 2);
  await cameras.stop();
  assert.deepEqual([cameras.counts[1]?.captured, errors.length], [0, 1]);
  assert.match(errors[0] ?? '', /"persn".*person/);
  assert.throws(
    () => cameras.requestSnapshot('none'),
    /Cannot give a snapshot of camera "none": expected one of good, bad/,
  );
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
