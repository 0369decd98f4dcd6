import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';
import type { DecodeOptions, Found } from './decode-network.js';
import { assertFound, chooseFor, decodeNetwork, floats, logit } from './decode-network.js';

const SIZE = { width: 96, height: 64 };
const [ROWS, COLS] = [4, 6];
const OPTIONS: DecodeOptions = { size: SIZE, ends: ['sigmoid', 'convolution', 'softmax'] };

/** Two of one class, one of another; the centre of the last one is left of its cell. */
const PLACED: readonly (Found & { readonly cell: readonly [row: number, col: number] })[] = [
  { classId: 1, confidence: 0.9, box: { x: 5.5, y: 9, width: 20, height: 31 }, cell: [1, 0] },
  { classId: 1, confidence: 0.8, box: { x: 50, y: 20.25, width: 33, height: 14 }, cell: [1, 4] },
  { classId: 0, confidence: 0.7, box: { x: 72, y: 40, width: 14, height: 20 }, cell: [3, 5] },
];

test('fastestdet finds the placed boxes', () => {
  const { decoder, detections } = decodeNetwork([outputOf()], OPTIONS);
  assert.equal(decoder.kind, 'fastestdet');
  assertFound(detections, PLACED);
});

test('fastestdet is recognised where the parts end as its own do and the classes are known', () => {
  const others = [
    { ...OPTIONS, ends: ['convolution'] },
    { ...OPTIONS, ends: ['softmax', 'convolution', 'sigmoid'] },
    { ...OPTIONS, labels: ['a', 'b', 'c'] },
    { ...OPTIONS, labels: null },
    { ...OPTIONS, size: { width: 64, height: 96 } },
  ] as const;
  for (const options of others) assert.equal(chooseFor([outputOf()], options).kind, 'raw');
  assert.equal(chooseFor([outputOf(), { ...outputOf(), name: 'second' }], OPTIONS).kind, 'raw');
  const named = decodeNetwork([outputOf()], { size: SIZE, wanted: 'fastestdet' });
  assertFound(named.detections, PLACED);
});

/** Output of a network that finds the placed boxes: FastestDet's decoding solved for the network's values. */
function outputOf(): OutputTensor {
  const plane = ROWS * COLS;
  const values = new Float32Array(7 * plane);
  for (const { box, classId, confidence, cell } of PLACED) {
    const [row, col] = cell;
    const put = (value: number, number: number) => {
      values[value * plane + row * COLS + col] = number;
    };
    // The product of their powers is the confidence.
    put(0, confidence);
    put(5 + classId, confidence);
    put(5 + (1 - classId), 1 - confidence);
    put(1, Math.atanh(((box.x + box.width / 2) / SIZE.width) * COLS - col));
    put(2, Math.atanh(((box.y + box.height / 2) / SIZE.height) * ROWS - row));
    put(3, logit(box.width / SIZE.width));
    put(4, logit(box.height / SIZE.height));
  }
  return floats('758', [1, 7, ROWS, COLS], values);
}
