import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BOX_DECODERS } from '../../agent/decode/box-decoders.js';
import type { Detection } from '../../agent/decode/detection.js';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';
import { decodeNetwork, floats, zeros } from './decode-network.js';

/** Cells of strides 8, 16 and 32 of an input of 64 x 64. */
const CELLS = 64 + 16 + 4;

/** The box that each of the networks finds: in the middle, 32 wide and 16 high. */
const FOUND = { label: 'dog', classId: 1, box: { x: 16, y: 24, width: 32, height: 16 } };

test('each decoder reads the outputs of the networks that it is for', () => {
  const corners = [16, 24, 48, 40];
  const cases: readonly (readonly [
    name: string,
    outputs: OutputTensor[],
    confidence: number,
    kind: string,
  ])[] = [
    ['YOLOv8', [columns('output0', [32, 32, 32, 16, 0.1, 0.9])], 0.9, 'yolo'],
    ['YOLOv5', [rows('output', 3 * CELLS, [32, 32, 32, 16, 0.9, 0.2, 0.8])], 0.72, 'yolo'],
    ['YOLOv6', [rows('outputs', CELLS, [32, 32, 32, 16, 1, 0.2, 0.8])], 0.8, 'yolo'],
    // In the cell of stride 16 whose corner is at 32, 32.
    ['YOLOX', [rows('out', CELLS, [0, 0, Math.log(2), 0, 0.9, 0.2, 0.8], 64 + 2 * 4 + 2)], 0.72, 'yolox'],
    ['YOLOv10', [rows('output0', 300, [...corners, 0.9, 1])], 0.9, 'box-rows'],
    ['YOLOv7 end2end', [floats('output', [1, 7], [0, ...corners, 1, 0.9])], 0.9, 'box-rows'],
    [
      'Paddle',
      [floats('boxes', [2, 6], [1, 0.9, ...corners, -1, 1, 0, 0, 1, 1]), ints('num', [1], [1])],
      0.9,
      'box-rows',
    ],
    [
      'TensorFlow',
      [
        floats('detection_boxes:0', [1, 2, 4], [0.375, 0.25, 0.625, 0.75, 0, 0, 1, 1]),
        floats('detection_classes:0', [1, 2], [2, 1]),
        floats('detection_scores:0', [1, 2], [0.9, 0.1]),
        floats('num_detections:0', [1], [1]),
      ],
      0.9,
      'box-lists',
    ],
    [
      'torchvision',
      [floats('boxes', [1, 4], corners), ints('labels', [1], [2]), floats('scores', [1], [0.9])],
      0.9,
      'box-lists',
    ],
    [
      'MMDeploy',
      [floats('dets', [1, 1, 5], [...corners, 0.9]), ints('labels', [1, 1], [1])],
      0.9,
      'box-lists',
    ],
    [
      'DETR',
      [
        floats('logits', [1, 2, 3], [0, Math.log(9), Number.NEGATIVE_INFINITY, 0, 0, 5]),
        floats('pred_boxes', [1, 2, 4], [0.5, 0.5, 0.5, 0.25, 0.5, 0.5, 1, 1]),
      ],
      0.9,
      'scored-boxes',
    ],
    [
      'RT-DETR',
      [
        floats('logits', [1, 2, 2], [-9, Math.log(9), -9, -9]),
        floats('pred_boxes', [1, 2, 4], [0.5, 0.5, 0.5, 0.25, 0.5, 0.5, 1, 1]),
      ],
      0.9,
      'scored-boxes',
    ],
  ];
  for (const [name, outputs, confidence, kind] of cases) {
    const { decoder, detections } = decodeNetwork(outputs);
    assert.equal(decoder.kind, kind, name);
    const [found, ...others] = detections;
    assert.deepEqual(others, [], name);
    assertSame(found, { ...FOUND, confidence }, name);
  }
});

test('faces of UltraFace are its second class, and overlaps are suppressed', () => {
  const scores = floats('scores', [1, 3, 2], [0.1, 0.9, 0.2, 0.8, 0.9, 0.1]);
  const boxes = floats('boxes', [1, 3, 4], [0.25, 0.375, 0.75, 0.625, 0.25, 0.375, 0.75, 0.6, 0, 0, 1, 1]);
  const { decoder, detections } = decodeNetwork([scores, boxes], { labels: ['face'] });
  assert.equal(decoder.kind, 'scored-boxes');
  assert.equal(detections.length, 1);
  assertSame(detections[0], { ...FOUND, label: 'face', classId: 0, confidence: 0.9 }, 'UltraFace');
});

test('a pose has its keypoints', () => {
  const output = columns('output0', [32, 32, 32, 16, 0.9, 20, 30, 0.5, 40, 50, 0.25]);
  const { detections } = decodeNetwork([output], { labels: ['person'], task: 'pose' });
  assert.deepEqual(
    detections.map(({ keypoints }) => keypoints),
    [
      [
        { x: 20, y: 30, confidence: 0.5 },
        { x: 40, y: 50, confidence: 0.25 },
      ],
    ],
  );
});

test('coefficients of masks are no classes, and give an outline within the box', () => {
  // The second prototype is the left half of the image.
  const prototypes = new Float32Array(32 * 16 * 16);
  for (let row = 0; row < 16; row += 1)
    for (let col = 0; col < 16; col += 1) prototypes[(16 + row) * 16 + col] = col < 8 ? 1 : -1;
  const coefficients = [0, 2, ...zeros(30)];
  const masks = floats('output1', [1, 32, 16, 16], prototypes);
  const cases = [
    [columns('output0', [32, 32, 32, 16, 0.1, 0.9, ...coefficients]), { task: 'segment' }, 0.9],
    [columns('output0', [32, 32, 32, 16, 0.1, 0.9, ...coefficients]), {}, 0.9],
    [rows('output0', 3 * CELLS, [32, 32, 32, 16, 0.9, 0.2, 0.8, ...coefficients]), {}, 0.72],
  ] as const;
  for (const [output, options, confidence] of cases) {
    const { decoder, detections } = decodeNetwork([output, masks], options);
    assert.ok(decoder.kind === 'yolo' && decoder.masks === 'output1');
    assertSame(detections[0], { ...FOUND, confidence }, 'segment');
    assert.deepEqual(detections[0]?.outline, [
      { x: 32, y: 24 },
      { x: 32, y: 40 },
      { x: 16, y: 40 },
      { x: 16, y: 24 },
    ]);
  }
});

test('an oriented box has its corners, and the upright box around them', () => {
  const output = columns('output0', [32, 32, 32, 16, 0.1, 0.9, Math.PI / 2]);
  const { detections } = decodeNetwork([output], { task: 'obb' });
  const upright = { x: 24, y: 16, width: 16, height: 32 };
  assertSame(detections[0], { ...FOUND, box: upright, confidence: 0.9 }, 'obb');
  const [first, ...others] = detections[0]?.corners ?? [];
  assert.equal(others.length, 3);
  // The corner at the end of the width and of the height, a quarter turn on.
  assert.ok(Math.abs((first?.x ?? 0) - 24) < 1e-4 && Math.abs((first?.y ?? 0) - 48) < 1e-4);
});

test('oriented boxes that cross are not suppressed, though their upright boxes are the same', () => {
  const values = [1, -1].flatMap((sign) => [32, 32, 40, 4, 0.1, 0.9, (sign * Math.PI) / 4]);
  const all = Array.from({ length: 7 }, (_, at) => [
    values[at] ?? 0,
    values[7 + at] ?? 0,
    ...zeros(CELLS - 2),
  ]);
  const { detections } = decodeNetwork([floats('output0', [1, 7, CELLS], all.flat())], { task: 'obb' });
  assert.equal(detections.length, 2);
});

test('what no decoder is sure of is raw, and a named decoder reads it', () => {
  const other = floats(
    'output',
    [1, 6, 50],
    [32, 32, 32, 16, 0.1, 0.9].flatMap((value) => [value, ...zeros(49)]),
  );
  assert.equal(decodeNetwork([other]).decoder.kind, 'raw');
  const { detections } = decodeNetwork([other], { wanted: 'yolo' });
  assertSame(detections[0], { ...FOUND, confidence: 0.9 }, 'named');
  assert.equal(decodeNetwork([floats('scores', [1, 10], zeros(10))]).decoder.kind, 'classes');
  assert.throws(
    () => decodeNetwork([other], { wanted: 'box-lists' }),
    /Cannot use decoder box-lists: it reads boxes, confidences and classes as lists.*the network gives "output" \[1, 6, 50\]/,
  );
});

test('broken values make no boxes', () => {
  const broken = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of broken) {
    for (const output of [
      columns('output0', [value, 32, 32, 16, 0.1, 0.9]),
      columns('output0', [32, 32, -1, 16, 0.1, 0.9]),
      columns('output0', [32, 32, 32, 16, Number.NaN, Number.NaN]),
      rows('output', 3 * CELLS, [32, 32, 32, value, 0.9, 0.2, 0.8]),
      rows('out', CELLS, [0, 0, value, value, 0.9, 0.2, 0.8]),
      rows('output0', 300, [16, 24, 48, value, 0.9, 1]),
      rows('output0', 300, [16, 24, 48, 40, 0.9, Number.NaN]),
    ]) {
      const boxes = decodeNetwork([output]).detections.map(({ box }) => Object.values(box));
      assert.ok(boxes.flat().every(Number.isFinite), `${output.name} ${value}`);
    }
  }
});

test('the kinds of decoders have different names', () => {
  assert.equal(new Set(BOX_DECODERS.map(({ kind }) => kind)).size, BOX_DECODERS.length);
});

function assertSame(actual: Detection | undefined, expected: Detection, name: string): void {
  assert.ok(actual !== undefined, name);
  assert.deepEqual([actual.label, actual.classId], [expected.label, expected.classId], name);
  const numbers = ({ confidence, box: { x, y, width, height } }: Detection) => [
    confidence,
    x,
    y,
    width,
    height,
  ];
  for (const [at, value] of numbers(expected).entries())
    assert.ok(Math.abs((numbers(actual)[at] ?? 0) - value) < 1e-4, `${name}: ${numbers(actual).join()}`);
}

/** One cell with values; all others are zero. */
function columns(name: string, values: readonly number[]): OutputTensor {
  const all = values.flatMap((value) => [...zeros(7), value, ...zeros(CELLS - 8)]);
  return floats(name, [1, values.length, CELLS], all);
}

function rows(name: string, count: number, values: readonly number[], at = 7): OutputTensor {
  const all = [...zeros(at * values.length), ...values, ...zeros((count - at - 1) * values.length)];
  return floats(name, [1, count, values.length], all);
}

function ints(name: string, shape: readonly number[], values: readonly number[]): OutputTensor {
  return { name, dtype: 'int64', shape, bytes: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) };
}
