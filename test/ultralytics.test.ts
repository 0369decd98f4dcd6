/** A network with the outputs and the metadata that ultralytics writes, from one import command to boxes. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Detection } from '../agent/decode/detection.js';
import { GraphBuilder } from '../shared/graph/index.js';
import { writeOnnx } from '../shared/onnx/index.js';
import { ModelProtoSchema, StringStringEntryProtoSchema } from '../shared/onnx/onnx_pb.js';
import { runMafat, smallPng, temporaryFolder } from './fixtures.js';

const SIZE = 64;
const CELLS = 64 + 16 + 4;

test('one import command without options makes a file of ultralytics give labelled boxes', async (context) => {
  const folder = temporaryFolder(context);
  const [file, image] = [join(folder, 'yolov8n.onnx'), join(folder, 'wide.png')];
  writeFileSync(file, fakeYolo({ names: `{0: 'person', 1: "traffic light"}`, stride: '32', task: 'detect' }));
  writeFileSync(image, await smallPng({ width: 128, height: 64 }));
  const mafat = (...args: readonly string[]) => runMafat(join(folder, 'models'), ...args);
  const imported = mafat('model', 'import', file);
  assert.match(
    imported.stdout,
    /64x64 rgb, float32, nchw, letterbox; value = byte \/ 255 \(metadata of ultralytics\)/,
  );
  assert.match(imported.stdout, /2 labels from "names": person, traffic light/);
  assert.match(imported.stdout, /decoder yolo/);
  const { stdout, stderr, code } = mafat('run', 'yolov8n', '--image', image, '--json');
  assert.equal(code, 0, stderr);
  const { images } = JSON.parse(stdout) as { images: readonly { detections: readonly Detection[] }[] };
  const [found, ...others] = images[0]?.detections ?? [];
  assert.deepEqual(others, []);
  assert.equal(found?.label, 'traffic light');
  // The image fills the middle half of the input's rows, at half its size.
  assert.deepEqual(found.box, { x: 32, y: 16, width: 64, height: 32 });
});

test('labels of another number than the classes are refused', async (context) => {
  const folder = temporaryFolder(context);
  const [file, labels] = [join(folder, 'yolo.onnx'), join(folder, 'labels.txt')];
  writeFileSync(file, fakeYolo({}));
  writeFileSync(labels, 'a\nb\nc\n');
  const { code, stderr } = runMafat(join(folder, 'models'), 'model', 'import', file, '--labels', labels);
  assert.equal(code, 1);
  assert.match(stderr, /Cannot use labels: there are 3, expected 2, one for each class/);
});

/** Gives the same box for each image: centre 32, 32, size 32 x 16, class 1. What the image adds is zero. */
function fakeYolo(metadata: Readonly<Record<string, string>>): Uint8Array {
  const builder = new GraphBuilder();
  const image = builder.addInput('images', [1, 3, SIZE, SIZE]);
  const values = [32, 32, 32, 16, 0.125, 0.75].flatMap((value) => [
    value,
    ...Array<number>(CELLS - 1).fill(0),
  ]);
  const boxes = builder.addConstant('boxes', Float32Array.from(values), [1, 6, CELLS]);
  const zero = builder.addConstant('zero', Float32Array.of(0), [1, 1, 1, 1]);
  const map = { channels: 3, rows: SIZE, cols: SIZE };
  const nothing = builder.addMap(0, { op: 'Mul', inputs: [image, zero] }, map);
  const float = (shape: readonly number[]) => ({ dtype: 'float32', shape }) as const;
  const sum = builder.addNode(
    1,
    { op: 'ReduceMax', inputs: [nothing.tensor], attributes: { keepdims: 0 } },
    float([]),
  );
  const output = builder.addNode(2, { op: 'Add', inputs: [boxes, sum] }, float([1, 6, CELLS]));
  const model = fromBinary(ModelProtoSchema, writeOnnx(builder.build('yolo', [output])));
  for (const [key, value] of Object.entries(metadata))
    model.metadataProps.push(create(StringStringEntryProtoSchema, { key, value }));
  return toBinary(ModelProtoSchema, model);
}
