import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';
import type { Found } from './decode-network.js';
import { assertFound, chooseFor, decodeNetwork, floats, logit } from './decode-network.js';

const SIZE = { width: 96, height: 64 };
const [ROWS, COLS] = [16, 24];

/** Two of one class, one of another in a corner; centres off the grid. */
const PLACED: readonly Found[] = [
  { classId: 1, confidence: 0.9, box: { x: 5.5, y: 9, width: 20, height: 31 } },
  { classId: 1, confidence: 0.8, box: { x: 50, y: 20.25, width: 33, height: 14 } },
  { classId: 0, confidence: 0.7, box: { x: 85, y: 53, width: 20, height: 19 } },
];

interface Network {
  readonly isActivated?: boolean;
  readonly hasOffsets?: boolean;
  readonly names?: readonly [string, string, string];
}

test('heat-map finds an object at each peak, before or after the logistic function', () => {
  for (const isActivated of [true, false]) {
    const { decoder, detections } = decodeNetwork(outputsOf({ isActivated }), {
      size: SIZE,
      activated: () => isActivated,
    });
    assert.equal(decoder.kind, 'heat-map');
    assertFound(detections, PLACED, String(isActivated));
  }
});

test('heat-map puts centres in the middle of cells where there are no offsets', () => {
  const { detections } = decodeNetwork(outputsOf({ hasOffsets: false }), { size: SIZE });
  const moved = PLACED.map((found) => {
    const { x, y, width, height } = found.box;
    const middle = (start: number, length: number) =>
      (Math.floor((start + length / 2) / 4) + 0.5) * 4 - length / 2;
    return { ...found, box: { width, height, x: middle(x, width), y: middle(y, height) } };
  });
  assertFound(detections, moved);
});

test('heat-map takes the first of equal neighbours', () => {
  const outputs = outputsOf({});
  const flat = new Float32Array(2 * ROWS * COLS).fill(0.5);
  const { detections } = decodeNetwork([floats('hm', [1, 2, ROWS, COLS], flat), ...outputs.slice(1)], {
    size: SIZE,
  });
  assert.deepEqual(
    detections.map(({ classId }) => classId),
    [0, 1],
  );
});

test('heat-map is recognised by the names of CenterNet, and reads others where it is named', () => {
  const names = ['a', 'b', 'c'] as const;
  const options = { size: SIZE };
  assert.equal(chooseFor(outputsOf({ names }), options).kind, 'raw');
  assert.equal(chooseFor(outputsOf({}), { size: { width: 96, height: 96 } }).kind, 'raw');
  assert.equal(chooseFor(outputsOf({}), { ...options, labels: ['a', 'b', 'c'] }).kind, 'raw');
  const { detections } = decodeNetwork(outputsOf({ names }), { ...options, wanted: 'heat-map' });
  assertFound(detections, PLACED);
});

/** Outputs of a network that finds the placed boxes, with lower values around each peak. */
function outputsOf({
  isActivated = true,
  hasOffsets = true,
  names = ['hm', 'wh', 'reg'],
}: Network): OutputTensor[] {
  const plane = ROWS * COLS;
  const hm = Array<number>(2 * plane).fill(0.001);
  const [wh, reg] = [new Float32Array(2 * plane), new Float32Array(2 * plane)];
  for (const { box, classId, confidence } of PLACED) {
    const [x, y] = [(box.x + box.width / 2) / 4, (box.y + box.height / 2) / 4];
    const [col, row] = [Math.floor(x), Math.floor(y)];
    for (let down = -1; down <= 1; down += 1)
      for (let right = -1; right <= 1; right += 1) {
        if (row + down >= ROWS || col + right >= COLS) continue;
        const far = Math.abs(down) + Math.abs(right);
        hm[classId * plane + (row + down) * COLS + col + right] = confidence * 0.8 ** far;
      }
    const cell = row * COLS + col;
    [wh[cell], wh[plane + cell]] = [box.width / 4, box.height / 4];
    [reg[cell], reg[plane + cell]] = [x - col, y - row];
  }
  const scores = isActivated ? hm : hm.map(logit);
  return [
    floats(names[0], [1, 2, ROWS, COLS], scores),
    floats(names[1], [1, 2, ROWS, COLS], wh),
    ...(hasOffsets ? [floats(names[2], [1, 2, ROWS, COLS], reg)] : []),
  ];
}
