import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';
import type { Found } from './decode-network.js';
import { assertFound, chooseFor, decodeNetwork, floats } from './decode-network.js';

const SIZE = { width: 96, height: 64 };
const FACE = { size: SIZE, labels: ['face'] };

const PLACED: readonly (Found & { readonly stride: number })[] = [
  { stride: 8, classId: 0, confidence: 0.9, box: { x: 5, y: 7, width: 12, height: 15 } },
  { stride: 16, classId: 0, confidence: 0.8, box: { x: 40, y: 20, width: 30, height: 35 } },
  { stride: 32, classId: 0, confidence: 0.7, box: { x: 10, y: 1, width: 70, height: 60 } },
];
const LANDMARKS = [10, 12, 14, 12, 12, 15, 10, 18, 14, 19];

test('yunet finds the faces of all strides and their landmarks', () => {
  const { decoder, detections } = decodeNetwork(outputsOf(), FACE);
  assert.equal(decoder.kind, 'yunet');
  assertFound(detections, PLACED);
  for (const { keypoints = [] } of detections) {
    const points = keypoints.flatMap(({ x, y }) => [x, y]);
    assert.equal(points.length, LANDMARKS.length);
    for (const [at, value] of LANDMARKS.entries()) assert.ok(Math.abs((points[at] ?? 0) - value) < 1e-4);
  }
});

test('yunet takes probabilities beyond 1 as 1', () => {
  const outputs = outputsOf().map((output) =>
    /^(cls|obj)/.test(output.name)
      ? floats(output.name, output.shape, Array<number>(size(output)).fill(1.5))
      : output,
  );
  const { detections } = decodeNetwork(outputs, FACE);
  assert.ok(detections.length > 0 && detections.every(({ confidence }) => confidence === 1));
});

test('yunet is not recognised by other names, shapes or sizes', () => {
  const renamed = outputsOf().map((output) => ({ ...output, name: output.name.replace('kps', 'points') }));
  assert.equal(chooseFor(renamed, FACE).kind, 'raw');
  assert.equal(chooseFor(outputsOf(), { ...FACE, size: { width: 64, height: 64 } }).kind, 'raw');
  assert.equal(chooseFor(outputsOf().slice(1), FACE).kind, 'raw');
});

function size({ shape }: OutputTensor): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** Outputs of a network that finds the placed faces: OpenCV's decoding solved for the network's values. */
function outputsOf(): OutputTensor[] {
  return [8, 16, 32].flatMap((stride) => {
    const [rows, cols] = [SIZE.height / stride, SIZE.width / stride];
    const make = (count: number) => new Float32Array(rows * cols * count);
    const [cls, obj, bbox, kps] = [make(1), make(1), make(4), make(10)];
    for (const { box, confidence } of PLACED.filter((one) => one.stride === stride)) {
      const [x, y] = [(box.x + box.width / 2) / stride, (box.y + box.height / 2) / stride];
      const [col, row] = [Math.floor(x), Math.floor(y)];
      const cell = row * cols + col;
      // The root of their product is the confidence.
      cls[cell] = confidence * 1.05;
      obj[cell] = confidence / 1.05;
      bbox.set([x - col, y - row, Math.log(box.width / stride), Math.log(box.height / stride)], cell * 4);
      kps.set(
        LANDMARKS.map((value, at) => value / stride - (at % 2 === 0 ? col : row)),
        cell * 10,
      );
    }
    const cells = rows * cols;
    return [
      floats(`cls_${stride}`, [1, cells, 1], cls),
      floats(`obj_${stride}`, [1, cells, 1], obj),
      floats(`bbox_${stride}`, [1, cells, 4], bbox),
      floats(`kps_${stride}`, [1, cells, 10], kps),
    ];
  });
}
