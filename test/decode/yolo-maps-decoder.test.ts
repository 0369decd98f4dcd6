import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';
import type { DecodeOptions, Found } from './decode-network.js';
import { assertFound, chooseFor, decodeNetwork, floats, logit } from './decode-network.js';

const SIZE = { width: 128, height: 96 };
const CLASSES = 2;
const COUNT = 5 + CLASSES;

/** Anchors as the networks' authors publish them. */
const V5 = {
  8: ['10,13', '16,30', '33,23'],
  16: ['30,61', '62,45', '59,119'],
  32: ['116,90', '156,198', '373,326'],
};
const V7 = {
  8: ['12,16', '19,36', '40,28'],
  16: ['36,75', '76,55', '72,146'],
  32: ['142,110', '192,243', '459,401'],
};

/** One box in each stride, each with another anchor. */
const PLACED: readonly (Found & { readonly stride: 8 | 16 | 32; readonly anchor: number })[] = [
  { stride: 8, anchor: 0, classId: 0, confidence: 0.72, box: { x: 3, y: 5, width: 12, height: 9 } },
  { stride: 16, anchor: 1, classId: 1, confidence: 0.63, box: { x: 40, y: 30, width: 50, height: 20 } },
  { stride: 32, anchor: 2, classId: 1, confidence: 0.54, box: { x: 61, y: 2, width: 66, height: 93 } },
];
const OBJECTNESS = 0.9;

const FORMS = ['split', 'joined'] as const;

test('yolo-maps reads boxes of all strides and anchors, split or joined, before or after the logistic function', () => {
  for (const form of FORMS)
    for (const isActivated of [true, false])
      for (const [anchors, wanted] of [
        [V5, 'yolo-maps'],
        [V7, 'yolov7-maps'],
      ] as const) {
        const outputs = mapsOf(anchors, { form, isActivated });
        const options = { size: SIZE, wanted, activated: () => isActivated };
        const { decoder, detections } = decodeNetwork(outputs, options);
        assert.equal(decoder.kind, 'yolo-maps');
        assertFound(detections, PLACED, `${form} ${isActivated} ${wanted}`);
      }
});

test('yolo-maps is recognised by the metadata of YOLOv5 only', () => {
  for (const form of FORMS) {
    const outputs = mapsOf(V5, { form, isActivated: true });
    const kind = (options: DecodeOptions) => chooseFor(outputs, { size: SIZE, ...options }).kind;
    assert.equal(kind({ isYolov5: true }), 'yolo-maps');
    assert.equal(kind({}), 'raw');
    assert.equal(kind({ isYolov5: true, labels: ['a', 'b', 'c'] }), 'raw', 'other number of classes');
    assert.equal(kind({ isYolov5: true, size: { width: 96, height: 96 } }), 'raw', 'other input size');
  }
  const [first, second] = mapsOf(V5, { form: 'split', isActivated: true });
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(chooseFor([first, second], { size: SIZE, isYolov5: true }).kind, 'raw', 'two strides');
});

test('yolo-maps reads four strides with the anchors of the networks for large images', () => {
  const size = { width: 128, height: 128 };
  const outputs = [8, 16, 32, 64].map((stride) => {
    const side = 128 / stride;
    const values = new Float32Array(3 * side * side * COUNT);
    // A box as large as the last anchor in the middle of the last cell.
    values.set([0.5, 0.5, 0.5, 0.5, stride === 64 ? 0.9 : 0, 0, 1], values.length - COUNT);
    return floats(`out${stride}`, [1, 3, side, side, COUNT], values);
  });
  const { detections } = decodeNetwork(outputs, { size, isYolov5: true });
  const box = { x: 96 - 925 / 2, y: 96 - 792 / 2, width: 925, height: 792 };
  assertFound(detections, [{ classId: 1, confidence: 0.9, box }]);
});

test('yolo-maps names the output whose shape is another than model.yaml says', () => {
  const outputs = mapsOf(V5, { form: 'joined', isActivated: true });
  const short = outputs.map((output) => ({ ...output, shape: [1, 20, ...output.shape.slice(2)] }));
  const decoder = chooseFor(outputs, { size: SIZE, isYolov5: true });
  assert.throws(() => decodeNetwork(short, { size: SIZE, told: decoder }), {
    name: 'RangeError',
    message:
      'Cannot decode output "map8": its shape is [1, 20, 12, 16], expected [1, 3, 12, 16, 7] or [1, 21, 12, 16] (model.yaml, decoder)',
  });
});

interface Form {
  readonly form: (typeof FORMS)[number];
  readonly isActivated: boolean;
}

/** The outputs of a network that finds the placed boxes: YOLOv5's decoding solved for the network's values. */
function mapsOf(anchors: typeof V5, { form, isActivated }: Form): readonly OutputTensor[] {
  return ([8, 16, 32] as const).map((stride) => {
    const [rows, cols] = [SIZE.height / stride, SIZE.width / stride];
    const values = new Float32Array(3 * COUNT * rows * cols).fill(isActivated ? 0 : -20);
    for (const placed of PLACED.filter((one) => one.stride === stride)) {
      const { x, y, width, height } = placed.box;
      const [centerX, centerY] = [(x + width / 2) / stride, (y + height / 2) / stride];
      const [col, row] = [Math.floor(centerX), Math.floor(centerY)];
      const [anchorWidth = 0, anchorHeight = 0] =
        anchors[stride][placed.anchor]?.split(',').map(Number) ?? [];
      const scores = [0.1, 0.1];
      scores[placed.classId] = placed.confidence / OBJECTNESS;
      const cell = [
        (centerX - col + 0.5) / 2,
        (centerY - row + 0.5) / 2,
        Math.sqrt(width / anchorWidth) / 2,
        Math.sqrt(height / anchorHeight) / 2,
        OBJECTNESS,
        ...scores,
      ];
      for (const [value, probability] of cell.entries()) {
        const index =
          form === 'split'
            ? ((placed.anchor * rows + row) * cols + col) * COUNT + value
            : ((placed.anchor * COUNT + value) * rows + row) * cols + col;
        values[index] = isActivated ? probability : logit(probability);
      }
    }
    const shape = form === 'split' ? [1, 3, rows, cols, COUNT] : [1, 3 * COUNT, rows, cols];
    return floats(`map${stride}`, shape, values);
  });
}
