import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Box } from '../../agent/decode/detection.js';
import { cornersOf, polygonOverlap } from '../../agent/decode/rotated-box.js';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';
import type { DecodeOptions } from './decode-network.js';
import { chooseFor, decodeNetwork, floats } from './decode-network.js';

const SIZE = { width: 160, height: 96 };
const OPTIONS: DecodeOptions = {
  ...{ size: SIZE, labels: ['text'], isPaddle: true },
  trail: ['Sigmoid', 'Add', 'ConvTranspose', 'Relu', 'BatchNormalization', 'ConvTranspose', 'Relu'],
};

/** The middle part of a line of text. */
interface Line {
  readonly box: Box;
  /** Radians, clockwise. */
  readonly angle: number;
  readonly probability: number;
}

const UPRIGHT: Line = {
  box: { centerX: 50, centerY: 20, width: 60, height: 8 },
  angle: 0,
  probability: 0.9,
};
const TILTED: Line = {
  box: { centerX: 100, centerY: 60, width: 70, height: 10 },
  angle: -0.4,
  probability: 0.8,
};

test('text-map gives the grown rectangle of each line, upright or not', () => {
  const { decoder, detections } = decodeNetwork([outputOf([TILTED, UPRIGHT])], OPTIONS);
  assert.equal(decoder.kind, 'text-map');
  assert.deepEqual(
    detections.map(({ label }) => label),
    ['text', 'text'],
  );
  for (const [at, line] of [UPRIGHT, TILTED].entries()) {
    const { box, corners = [], confidence = 0 } = detections[at] ?? {};
    // A rectangle around cells may hold a few others at its corners.
    assert.ok(Math.abs(confidence - line.probability) < 0.01, `${confidence} of ${line.probability}`);
    const overlap = polygonOverlap(corners, cornersOf(grown(line.box), line.angle));
    assert.ok(overlap > 0.93, `${overlap}: ${JSON.stringify(corners)}`);
    const xs = corners.map(({ x }) => x);
    assert.ok(Math.abs((box?.x ?? 0) - Math.min(...xs)) < 1e-9);
    assert.ok(Math.abs((box?.width ?? 0) - (Math.max(...xs) - Math.min(...xs))) < 1e-9);
  }
});

test('text-map leaves out thin lines and lines that are unsure, and joins what touches at a corner', () => {
  const thin = { ...UPRIGHT, box: { ...UPRIGHT.box, height: 2 } };
  const unsure = { ...UPRIGHT, probability: 0.5 };
  for (const line of [thin, unsure])
    assert.deepEqual(decodeNetwork([outputOf([line])], OPTIONS).detections, []);
  const [left, right] = [20, 29].map((centerX) => {
    return { ...UPRIGHT, box: { centerX, centerY: centerX, width: 9, height: 9 } };
  });
  assert.ok(left !== undefined && right !== undefined);
  const decoder = chooseFor([outputOf([])], OPTIONS);
  assert.ok(decoder.kind === 'text-map');
  // Both are half of the rectangle around them.
  const told = { ...decoder, threshold: 0.3 };
  assert.equal(decodeNetwork([outputOf([left, right])], { ...OPTIONS, told }).detections.length, 1);
});

test('text-map reads maps smaller than the input', () => {
  const { decoder, detections } = decodeNetwork([outputOf([UPRIGHT])], OPTIONS);
  const size = { width: SIZE.width * 2, height: SIZE.height * 2 };
  const doubled = decodeNetwork([outputOf([UPRIGHT])], { ...OPTIONS, size, told: decoder });
  assert.ok(Math.abs((doubled.detections[0]?.box.width ?? 0) - 2 * (detections[0]?.box.width ?? 0)) < 1e-9);
});

test('text-map is recognised by what only PP-OCR has', () => {
  const { trail: _, ...unknown } = OPTIONS;
  const others: readonly DecodeOptions[] = [
    unknown,
    { ...OPTIONS, isPaddle: false },
    { ...OPTIONS, trail: ['Sigmoid', 'Conv', 'Relu', 'ConvTranspose'] },
    { ...OPTIONS, size: { width: 80, height: 48 } },
  ];
  for (const options of others) assert.equal(chooseFor([outputOf([])], options).kind, 'raw');
  assert.equal(chooseFor([outputOf([])], { ...unknown, wanted: 'text-map' }).kind, 'text-map');
});

/** PaddleOCR's distance on each side: area * 1.5 / perimeter. */
function grown(box: Box): Box {
  const by = (box.width * box.height * 1.5) / (2 * (box.width + box.height));
  return { ...box, width: box.width + 2 * by, height: box.height + 2 * by };
}

function outputOf(lines: readonly Line[]): OutputTensor {
  const { width, height } = SIZE;
  const values = new Float32Array(width * height).fill(0.01);
  for (const { box, angle, probability } of lines)
    for (let cell = 0; cell < values.length; cell += 1) {
      const [x, y] = [(cell % width) - box.centerX, Math.floor(cell / width) - box.centerY];
      const along = x * Math.cos(angle) + y * Math.sin(angle);
      const across = y * Math.cos(angle) - x * Math.sin(angle);
      if (Math.abs(along) <= box.width / 2 && Math.abs(across) <= box.height / 2) values[cell] = probability;
    }
  return floats('sigmoid_0.tmp_0', [1, 1, height, width], values);
}
