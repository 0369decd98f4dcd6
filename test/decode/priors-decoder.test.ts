import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';
import type { Found } from './decode-network.js';
import { assertFound, chooseFor, decodeNetwork, floats } from './decode-network.js';

/** A prior in pixels, as centre and size. */
type Prior = readonly [x: number, y: number, width: number, height: number];

const FACE_SIZE = { width: 160, height: 96 };
const FACE = { labels: ['face'], size: FACE_SIZE };
const VARIANCES = [0.1, 0.2] as const;

/** Squares of the sizes of each step, as Pytorch_Retinaface's PriorBox lists them. */
function facePriors(sizes: readonly (readonly number[])[]): readonly Prior[] {
  const priors: Prior[] = [];
  for (const [level, sides] of sizes.entries()) {
    const step = 8 * 2 ** level;
    for (let row = 0; row < Math.ceil(FACE_SIZE.height / step); row += 1)
      for (let col = 0; col < Math.ceil(FACE_SIZE.width / step); col += 1)
        for (const side of sides) priors.push([(col + 0.5) * step, (row + 0.5) * step, side, side]);
  }
  return priors;
}

const RETINAFACE = facePriors([
  [16, 32],
  [64, 128],
  [256, 512],
]);
const SLIM = facePriors([
  [10, 16, 24],
  [32, 48],
  [64, 96],
  [128, 192, 256],
]);

const FACES: readonly Found[] = [
  { classId: 0, confidence: 0.9, box: { x: 20, y: 10, width: 30, height: 40 } },
  { classId: 0, confidence: 0.8, box: { x: 90, y: 20, width: 61, height: 70 } },
];
const LANDMARKS = [30, 20, 40, 21, 35, 30, 31, 41, 39, 42];

test('priors finds faces of networks without landmarks, if the boxes are not decoded', () => {
  const outputs = outputsOf(SLIM, { found: FACES, classes: 2, isActivated: true });
  const { decoder, detections } = decodeNetwork(outputs, { ...FACE, direct: () => true });
  assert.equal(decoder.kind, 'priors');
  assertFound(detections, FACES, 'UltraFace');
  assert.notEqual(chooseFor(outputs, FACE).kind, 'priors');
});

test('priors finds faces and their landmarks', () => {
  for (const [name, priors] of [
    ['RetinaFace', RETINAFACE],
    ['slim', SLIM],
  ] as const)
    for (const isActivated of [true, false]) {
      const outputs = outputsOf(priors, { found: FACES, classes: 2, isActivated });
      const landmarks = floats('landms', [1, priors.length, 10], priors.flatMap(landmarksOf));
      const options = { ...FACE, activated: () => isActivated };
      const { decoder, detections } = decodeNetwork([...outputs, landmarks], options);
      assert.equal(decoder.kind, 'priors', name);
      assertFound(detections, FACES, name);
      for (const { keypoints = [] } of detections) {
        const points = keypoints.flatMap(({ x, y }) => [x, y]);
        for (const [at, value] of LANDMARKS.entries())
          assert.ok(Math.abs((points[at] ?? 0) - value) < 1e-3, points.join());
      }
    }
});

test('priors finds the objects of SSD300 by the priors of VOC and COCO', () => {
  const size = { width: 300, height: 300 };
  const found: readonly Found[] = [
    { classId: 7, confidence: 0.9, box: { x: 20, y: 30, width: 44, height: 60 } },
    { classId: 19, confidence: 0.8, box: { x: 90, y: 100, width: 200, height: 150 } },
  ];
  for (const [classes, scales] of [
    [20, [30, 60, 111, 162, 213, 264, 315]],
    [80, [21, 45, 99, 153, 207, 261, 315]],
  ] as const)
    for (const isActivated of [true, false]) {
      const outputs = outputsOf(ssdPriors(scales), { found, classes: classes + 1, isActivated });
      assert.equal(outputs[0]?.shape[1], 8732);
      const { decoder, detections } = decodeNetwork(outputs, {
        size,
        labels: Array.from({ length: classes }, String),
        activated: () => isActivated,
      });
      assert.equal(decoder.kind, 'priors');
      assertFound(detections, found);
    }
});

test('priors is not recognised where the outputs could be those of other networks', () => {
  const names = (boxes: string, classes: number) => [
    floats(boxes, [1, 8732, 4], []),
    floats('conf', [1, 8732, classes], []),
  ];
  const ssd = { size: { width: 300, height: 300 }, labels: null };
  assert.equal(chooseFor(names('output', 21), ssd).kind, 'raw', 'boxes without a name');
  assert.equal(chooseFor(names('output', 21), { ...ssd, wanted: 'priors' }).kind, 'priors');
  assert.equal(chooseFor(names('loc', 6), ssd).kind, 'raw', 'other number of classes');
  assert.equal(chooseFor(names('loc', 21), { ...ssd, labels: ['a'] }).kind, 'raw', 'other labels');
  assert.equal(chooseFor(names('loc', 21), { labels: null }).kind, 'raw', 'other input size');
  const faces = [4, 2, 10].map((width) => floats(`out${width}`, [1, RETINAFACE.length, width], []));
  assert.equal(chooseFor(faces, FACE).kind, 'priors');
  assert.equal(chooseFor(faces, { labels: ['face'] }).kind, 'raw', 'other input size');
  assert.equal(chooseFor(faces, { ...FACE, labels: ['a', 'b'] }).kind, 'raw', 'two labels');
});

test('priors names the output whose shape is another than model.yaml says', () => {
  const faces = [4, 2, 10].map((width) => floats(`out${width}`, [1, RETINAFACE.length, width], []));
  const told = chooseFor(faces, FACE);
  assert.throws(() => decodeNetwork(faces, { ...FACE, size: { width: 160, height: 160 }, told }), {
    name: 'RangeError',
    message: `Cannot decode output "out4": its shape is [1, ${RETINAFACE.length}, 4], expected 1050 cells of 4 values (model.yaml, decoder)`,
  });
});

interface Placed {
  readonly found: readonly Found[];
  readonly classes: number;
  readonly isActivated: boolean;
}

/** Outputs of a network that finds the boxes, each by the prior nearest to it; others are background. */
function outputsOf(priors: readonly Prior[], { found, classes, isActivated }: Placed): OutputTensor[] {
  const boxes = new Float32Array(priors.length * 4);
  const scores = priors.map(() => [1, ...Array<number>(classes - 1).fill(0)]);
  for (const { box, classId, confidence } of found) {
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const errors = priors.map(
      (prior) =>
        Math.abs(x - prior[0]) +
        Math.abs(y - prior[1]) +
        Math.abs(box.width - prior[2]) +
        Math.abs(box.height - prior[3]),
    );
    const at = errors.indexOf(Math.min(...errors));
    const [left, top, width, height] = priors[at] ?? [0, 0, 1, 1];
    boxes.set(
      [
        (x - left) / width / VARIANCES[0],
        (y - top) / height / VARIANCES[0],
        Math.log(box.width / width) / VARIANCES[1],
        Math.log(box.height / height) / VARIANCES[1],
      ],
      at * 4,
    );
    scores[at] =
      scores[at]?.map((_, value) => [1 - confidence, confidence][[0, classId + 1].indexOf(value)] ?? 0) ?? [];
  }
  const values = scores.flat().map((score) => (isActivated ? score : Math.log(score + 1e-9) + 5));
  return [floats('loc', [1, priors.length, 4], boxes), floats('conf', [1, priors.length, classes], values)];
}

function landmarksOf([x, y, width, height]: Prior): readonly number[] {
  return LANDMARKS.map((value, at) =>
    at % 2 === 0 ? (value - x) / width / VARIANCES[0] : (value - y) / height / VARIANCES[0],
  );
}

/** ssd.pytorch's PriorBox, in pixels, cut to the image as it cuts them. */
function ssdPriors(scales: readonly number[]): readonly Prior[] {
  const priors: Prior[] = [];
  const ratios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]];
  for (const [level, side] of [38, 19, 10, 5, 3, 1].entries()) {
    const step = [8, 16, 32, 64, 100, 300][level] ?? 0;
    const [scale = 0, next = 0] = scales.slice(level);
    for (let row = 0; row < side; row += 1)
      for (let col = 0; col < side; col += 1) {
        const sizes = [
          [scale, scale],
          [Math.sqrt(scale * next), Math.sqrt(scale * next)],
        ];
        for (const ratio of ratios[level] ?? []) {
          const root = Math.sqrt(ratio);
          sizes.push([scale * root, scale / root], [scale / root, scale * root]);
        }
        for (const [width = 0, height = 0] of sizes) {
          const cut = [(col + 0.5) * step, (row + 0.5) * step, width, height].map((value) =>
            Math.min(300, value),
          );
          priors.push(cut as unknown as Prior);
        }
      }
  }
  return priors;
}
