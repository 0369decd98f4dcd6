import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { softmax } from '../../agent/decode/activations.js';
import type { HeadMap } from '../../agent/decode/darknet-head.js';
import { decodeHead } from '../../agent/decode/darknet-head.js';
import type { Candidate } from '../../agent/decode/detection.js';
import type { DetectionHead } from '../../shared/darknet/index.js';

const YOLO: DetectionHead = {
  kind: 'yolo',
  output: 'out',
  classes: 2,
  anchors: [{ width: 0.5, height: 0.25 }],
  scaleXY: 1,
  softmax: false,
  newCoords: false,
};

/** A logit whose logistic is 1 in float64. */
const SURE = 40;

test('decodeHead() puts a box of zeros in the middle of its cell, as large as its anchor', () => {
  const map = emptyMap(YOLO, { rows: 2, cols: 4 });
  setCell(map, { row: 1, col: 3 }, [0, 0, 0, 0, SURE, -SURE, SURE]);
  const [candidate, ...rest] = decodeHead(YOLO, map, 0.5);
  assert.equal(rest.length, 0);
  assert.deepEqual(candidate?.box, { centerX: 3.5 / 4, centerY: 1.5 / 2, width: 0.5, height: 0.25 });
  assert.equal(candidate?.classId, 1);
  assertClose(candidate?.confidence, 1);
});

test('decodeHead() moves the centre by the logistic and grows the anchor by the exponential', () => {
  const map = emptyMap(YOLO, { rows: 1, cols: 1 });
  setCell(map, { row: 0, col: 0 }, [Math.log(3), -Math.log(3), Math.log(2), -Math.log(2), SURE, SURE, -SURE]);
  const box = decodeHead(YOLO, map, 0.5)[0]?.box;
  for (const [found, expected] of [
    [box?.centerX, 0.75],
    [box?.centerY, 0.25],
    [box?.width, 1],
    [box?.height, 0.125],
  ] as const) {
    assertClose(found, expected);
  }
});

test('decodeHead() stretches centres around the middle of the cell by scale_x_y', () => {
  const head = { ...YOLO, scaleXY: 2 };
  const map = emptyMap(head, { rows: 1, cols: 2 });
  setCell(map, { row: 0, col: 1 }, [SURE, 0, 0, 0, SURE, SURE, -SURE]);
  const box = decodeHead(head, map, 0.5)[0]?.box;
  assertClose(box?.centerX, 1.25);
  assertClose(box?.centerY, 0.5);
});

test('decodeHead() takes values of new_coords as they are and squares sizes', () => {
  const head = { ...YOLO, newCoords: true };
  const map = emptyMap(head, { rows: 1, cols: 1 });
  setCell(map, { row: 0, col: 0 }, [0.25, 0.75, 0.5, 1, 0.5, 0.5, 0]);
  assert.deepEqual(decodeHead(head, map, 0.2), [
    { box: { centerX: 0.25, centerY: 0.75, width: 0.5, height: 1 }, classId: 0, confidence: 0.25 },
  ]);
});

test('decodeHead() lets classes compete where the head has a softmax', () => {
  const head: DetectionHead = { ...YOLO, kind: 'region', softmax: true };
  const map = emptyMap(head, { rows: 1, cols: 1 });
  setCell(map, { row: 0, col: 0 }, [0, 0, 0, 0, SURE, Math.log(3), 0]);
  const confidences = decodeHead(head, map, 0.1).map(({ classId, confidence }) => [classId, confidence]);
  assert.deepEqual(
    confidences.map(([classId]) => classId),
    [0, 1],
  );
  assertClose(confidences[0]?.[1], 0.75);
  assertClose(confidences[1]?.[1], 0.25);
});

test('decodeHead() gives a candidate for every class above the threshold', () => {
  const map = emptyMap(YOLO, { rows: 1, cols: 1 });
  setCell(map, { row: 0, col: 0 }, [0, 0, 0, 0, SURE, SURE, SURE]);
  assert.equal(decodeHead(YOLO, map, 0.5).length, 2);
});

test('decodeHead() leaves out what is not above the threshold', () => {
  const head = { ...YOLO, newCoords: true };
  const map = emptyMap(head, { rows: 1, cols: 1 });
  setCell(map, { row: 0, col: 0 }, [0, 0, 0, 0, 0.5, 0.5, 0.25]);
  assert.equal(decodeHead(head, map, 0.25).length, 0);
  assert.equal(decodeHead(head, map, 0.24).length, 1);
});

test('decodeHead() leaves out values that are no numbers', () => {
  const map = emptyMap(YOLO, { rows: 1, cols: 1 });
  setCell(map, { row: 0, col: 0 }, [0, 0, 0, 0, Number.NaN, SURE, SURE]);
  assert.deepEqual(decodeHead(YOLO, map, 0.1), []);
});

test("decodeHead() equals Darknet's arithmetic entry by entry", () => {
  fc.assert(
    fc.property(
      heads,
      sizes,
      fc.nat(),
      fc.double({ min: 0, max: 0.9, noNaN: true }),
      (head, size, seed, threshold) => {
        const map = emptyMap(head, size);
        const values = fc.sample(fc.float({ min: -3, max: 3, noNaN: true }), {
          numRuns: map.values.length,
          seed,
        });
        map.values.set(values);
        const found = decodeHead(head, map, threshold);
        const naive = naiveDecode(head, map, threshold);
        assert.equal(found.length, naive.length);
        for (const [at, candidate] of naive.entries()) assertSame(found[at], candidate);
      },
    ),
    { numRuns: 60 },
  );
});

test('softmax() gives shares that sum up to 1', () => {
  assert.deepEqual(softmax([0, 0]), [0.5, 0.5]);
  const shares = softmax([Math.log(1), Math.log(2), Math.log(5)]);
  for (const [at, share] of [0.125, 0.25, 0.625].entries()) assertClose(shares[at], share);
});

test('softmax() holds scores that the exponential of would overflow', () => {
  assert.deepEqual(softmax([1000, 0, -1000]), [1, 0, 0]);
  assert.deepEqual(softmax([-1000, -1000]), [0.5, 0.5]);
});

interface Size {
  readonly rows: number;
  readonly cols: number;
}

const sizes: fc.Arbitrary<Size> = fc.record({
  rows: fc.integer({ min: 1, max: 3 }),
  cols: fc.integer({ min: 1, max: 3 }),
});

const edge = fc.double({ min: 0.01, max: 1, noNaN: true });

const heads: fc.Arbitrary<DetectionHead> = fc
  .record({
    classes: fc.integer({ min: 1, max: 3 }),
    anchors: fc.array(fc.record({ width: edge, height: edge }), { minLength: 1, maxLength: 3 }),
    scaleXY: fc.constantFrom(1, 1.05, 2),
    style: fc.constantFrom('yolo', 'region', 'softmax', 'newCoords'),
  })
  .map(({ style, ...head }) => ({
    ...head,
    kind: style === 'region' || style === 'softmax' ? 'region' : 'yolo',
    output: 'out',
    softmax: style === 'softmax',
    newCoords: style === 'newCoords',
  }));

/** A map of low values, in which nothing is detected. */
function emptyMap({ anchors, classes }: DetectionHead, { rows, cols }: Size): HeadMap {
  return { values: new Float32Array(anchors.length * (5 + classes) * rows * cols).fill(-SURE), rows, cols };
}

/** Writes the entries of the first anchor. */
function setCell(map: HeadMap, { row, col }: { row: number; col: number }, entries: readonly number[]): void {
  for (const [entry, value] of entries.entries()) {
    map.values[(entry * map.rows + row) * map.cols + col] = value;
  }
}

/** All boxes and classes by index into the map as [anchor, entry, row, col]; filtered at the end. */
function naiveDecode(head: DetectionHead, { values, rows, cols }: HeadMap, threshold: number) {
  const candidates: Candidate[] = [];
  const sigmoid = (value: number) => (head.newCoords ? value : 1 / (1 + Math.exp(-value)));
  for (const [anchor, { width, height }] of head.anchors.entries()) {
    for (let row = 0; row < rows; row += 1) {
      for (let col = 0; col < cols; col += 1) {
        const entry = (at: number) =>
          values[((anchor * (head.classes + 5) + at) * rows + row) * cols + col] ?? Number.NaN;
        const scores = Array.from({ length: head.classes }, (_, classId) => entry(5 + classId));
        const sum = scores.reduce((total, score) => total + Math.exp(score), 0);
        const size = (at: number) => (head.newCoords ? 4 * entry(at) * entry(at) : Math.exp(entry(at)));
        const shift = (at: number) => sigmoid(entry(at)) * head.scaleXY - 0.5 * (head.scaleXY - 1);
        const box = {
          centerX: (col + shift(0)) / cols,
          centerY: (row + shift(1)) / rows,
          width: size(2) * width,
          height: size(3) * height,
        };
        for (const [classId, score] of scores.entries()) {
          const probability = head.softmax ? Math.exp(score) / sum : sigmoid(score);
          const objectness = sigmoid(entry(4));
          const confidence = objectness * probability;
          if (objectness > threshold && confidence > threshold) candidates.push({ box, classId, confidence });
        }
      }
    }
  }
  return candidates;
}

function assertSame(found: Candidate | undefined, expected: Candidate): void {
  assert.equal(found?.classId, expected.classId);
  assertClose(found?.confidence, expected.confidence);
  for (const key of ['centerX', 'centerY', 'width', 'height'] as const) {
    assertClose(found?.box[key], expected.box[key]);
  }
}

function assertClose(found: number | undefined, expected: number): void {
  const error = Math.abs((found ?? Number.NaN) - expected);
  assert.ok(error <= 1e-6 * Math.max(1, Math.abs(expected)), `${found}, expected ${expected}`);
}
