/** Snapshots through the engine, by a real executor, between inferences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { drawFrame } from '../../agent/camera/synthetic-camera.js';
import { InferenceEngine } from '../../agent/engine/inference-engine.js';
import { BusyError } from '../../agent/engine/request-queue.js';
import { InputError } from '../../agent/engine/wire/input-error.js';
import type { ImageSource, SnapshotRequest } from '../../agent/engine/wire/protocol.js';
import { buildPlan, parsePlan } from '../../shared/search/index.js';
import { graphOf } from '../notation.js';
import { imageInputOf } from '../run-in-process.js';

const SIZE = { width: 64, height: 48 };
const FRAME: ImageSource = { kind: 'pixels', name: 'frame', ...SIZE, bytes: drawFrame(1, SIZE) };

const requestOf = (image: ImageSource): SnapshotRequest => ({
  kind: 'snapshot',
  image,
  shapes: [
    {
      kind: 'box',
      points: [
        { x: 0.2, y: 0.2 },
        { x: 0.6, y: 0.6 },
      ],
      text: 'person',
    },
  ],
  limits: { width: 32, quality: 75, maxBytes: 100_000 },
});

test('InferenceEngine draws snapshots between inferences, which give the same as before', async (context) => {
  const engine = new InferenceEngine({ maxWaiting: 8, onReplaced: (reason) => assert.fail(reason) });
  context.after(() => engine.stop());
  engine.start();
  await assert.rejects(engine.draw(requestOf(FRAME)), BusyError, 'no executor runs');
  const graph = graphOf('3x32x32: c8k3p1');
  const input = imageInputOf(graph);
  const plan = buildPlan(graph, parsePlan('2x2'), { threads: 1, level: 'extended' });
  engine.setPlan({ name: 'net', folder: '.', graph, input }, plan);
  const infer = () => engine.infer('net', { source: FRAME, outputs: 'values' });
  const [before, , after] = await Promise.all([
    infer(),
    engine.draw(requestOf({ kind: 'bytes', name: 'text', bytes: Buffer.from('no image') })).then(
      () => assert.fail('it drew a text'),
      (error: unknown) => assert.ok(error instanceof InputError, String(error)),
    ),
    infer(),
  ]);
  const jpeg = await engine.draw(requestOf(FRAME));
  const { width, height, format } = await sharp(jpeg).metadata();
  assert.deepEqual([width, height, format], [32, 24, 'jpeg']);
  assert.deepEqual((await infer()).outputs, before.outputs);
  assert.deepEqual(after.outputs, before.outputs);
  const { done, failed } = engine.counts.snapshot;
  assert.deepEqual([done, failed], [1, 2]);
});
