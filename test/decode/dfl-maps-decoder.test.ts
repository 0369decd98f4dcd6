import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';
import type { DecodeOptions, Found } from './decode-network.js';
import { assertFound, chooseFor, decodeNetwork, floats, logit } from './decode-network.js';

const SIZE = { width: 192, height: 128 };
const CLASSES = 2;

const PLACED: readonly (Found & { readonly stride: number })[] = [
  { stride: 8, classId: 1, confidence: 0.9, box: { x: 20.5, y: 17, width: 30, height: 41 } },
  { stride: 16, classId: 0, confidence: 0.8, box: { x: 70, y: 20, width: 44, height: 90 } },
  { stride: 32, classId: 1, confidence: 0.7, box: { x: 80, y: 4, width: 110, height: 120 } },
];

interface Network {
  readonly bins: number;
  readonly strides: readonly number[];
  readonly cellOffset: number;
  readonly isActivated?: boolean;
}

/** The values of one cell. */
interface Cell {
  readonly scores: readonly number[];
  readonly boxes: readonly number[];
}

type Level = {
  readonly rows: number;
  readonly cols: number;
  readonly stride: number;
  readonly cells: Cell[];
};

const PLUS: Network = { bins: 8, strides: [8, 16, 32, 64], cellOffset: 0 };
const NANODET: Network = { bins: 8, strides: [8, 16, 32], cellOffset: 0.5 };
const PICODET: Network = { bins: 8, strides: [8, 16, 32, 64], cellOffset: 0.5 };
const YOLOV8: Network = { bins: 16, strides: [8, 16, 32], cellOffset: 0.5 };
const YOLOV6: Network = { bins: 17, strides: [8, 16, 32], cellOffset: 0.5 };
const YOLOV6N: Network = { bins: 1, strides: [8, 16, 32], cellOffset: 0.5 };

const CASES: readonly (readonly [
  name: string,
  network: Network,
  build: (network: Network) => OutputTensor[],
])[] = [
  ['NanoDet-plus', PLUS, oneOutput],
  ['NanoDet-plus with logits', { ...PLUS, isActivated: false }, oneOutput],
  ['NanoDet', NANODET, oneOutput],
  ['NanoDet g', { ...NANODET, bins: 11 }, oneOutput],
  ['NanoDet of 2020', NANODET, (network) => rowOutputs(network, 'stride')],
  ['PicoDet', PICODET, (network) => rowOutputs(network, 'transpose')],
  ['YOLOv8 with sums', YOLOV8, (network) => mapOutputs(network, { withSum: true })],
  ['YOLOv8 in two maps', { ...YOLOV8, isActivated: false }, (network) => mapOutputs(network, {})],
  ['YOLOv8 in one map', { ...YOLOV8, isActivated: false }, (network) => joinedOutputs(network, 'boxes')],
  ['YOLOv6 m', YOLOV6, (network) => mapOutputs(network, {})],
];

test('dfl-maps finds the boxes of each network', () => {
  for (const [name, network, build] of CASES) {
    const { decoder, detections } = decodeNetwork(build(network), optionsOf(network));
    assert.equal(decoder.kind, 'dfl-maps', name);
    assertFound(detections, PLACED, name);
  }
});

test('dfl-maps reads distances without a distribution where it is named', () => {
  const builds = [
    mapOutputs(YOLOV6N, {}),
    mapOutputs(YOLOV6N, { withSum: true }),
    joinedOutputs(YOLOV6N, 'scores'),
  ];
  for (const outputs of builds) {
    assert.equal(chooseFor(outputs, optionsOf(YOLOV6N)).kind, 'raw');
    const { detections } = decodeNetwork(outputs, { ...optionsOf(YOLOV6N), wanted: 'dfl-maps' });
    assertFound(detections, PLACED);
  }
});

test('dfl-maps is not recognised where the outputs could be those of other networks', () => {
  const kind = (outputs: readonly OutputTensor[], options: DecodeOptions = {}) =>
    chooseFor(outputs, { size: SIZE, ...options }).kind;
  assert.equal(kind(oneOutput(PLUS), { labels: null }), 'raw', 'number of classes unknown');
  assert.equal(kind(oneOutput(PLUS), { labels: ['a', 'b', 'c'] }), 'raw', 'other number of classes');
  assert.equal(kind(oneOutput(PLUS), { size: { width: 128, height: 128 } }), 'raw', 'other input size');
  const interleaved = rowOutputs(PICODET, 'transpose').sort((a, b) => rowsOf(b) - rowsOf(a));
  assert.equal(kind(interleaved), 'raw', 'the order of OpenCV Zoo');
  assert.equal(kind(rowOutputs(PICODET, 'stride')), 'raw', 'four strides with the names of NanoDet');
  assert.equal(kind(joinedOutputs(YOLOV8, 'boxes'), { labels: null }), 'raw', 'maps without labels');
  const same = mapOutputs(YOLOV8, {}).map((output) => ({
    ...output,
    shape: [1, 64, ...output.shape.slice(2)],
  }));
  const labels = Array.from({ length: 64 }, String);
  assert.equal(kind(same, { labels }), 'raw', 'as many classes as values of a box');
});

test('dfl-maps takes 80 classes where there are no labels', () => {
  const shape = [1, 24 * 16 + 12 * 8 + 6 * 4 + 3 * 2, 80 + 4 * 8];
  const decoder = chooseFor([floats('output', shape, [])], { size: SIZE, labels: null });
  assert.ok(decoder.kind === 'dfl-maps');
  assert.deepEqual([decoder.classes, decoder.bins, decoder.cellOffset], [80, 8, 0]);
});

test('dfl-maps reads outputs without a batch', () => {
  const outputs = rowOutputs(NANODET, 'stride').map(({ shape, ...output }) => ({
    ...output,
    shape: shape.slice(1),
  }));
  assertFound(decodeNetwork(outputs, optionsOf(NANODET)).detections, PLACED);
});

test('dfl-maps knows the classes by the names that NanoDet gave its outputs', () => {
  const outputs = rowOutputs(NANODET, 'stride');
  assert.equal(chooseFor(outputs, { size: SIZE, labels: null }).kind, 'raw');
  const named = outputs.map(({ name, ...output }) => {
    return { ...output, name: name.replace('scores', 'cls_pred').replace('boxes', 'dis_pred') };
  });
  const { decoder, detections } = decodeNetwork(named, { size: SIZE, labels: null });
  assert.ok(decoder.kind === 'dfl-maps');
  assertFound(detections, PLACED);
});

test('YOLOX and networks like it are not taken for NanoDet', () => {
  const outputs = [floats('output', [1, 24 * 16 + 12 * 8 + 6 * 4, 5 + 2], [])];
  assert.equal(chooseFor(outputs, { size: SIZE }).kind, 'yolox');
});

test('dfl-maps names the output whose shape is another than model.yaml says', () => {
  const told = chooseFor(oneOutput(NANODET), optionsOf(NANODET));
  const short = oneOutput(NANODET).map((output) => ({ ...output, shape: [1, 504, 30] }));
  assert.throws(() => decodeNetwork(short, { size: SIZE, told }), {
    name: 'RangeError',
    message:
      'Cannot decode output "output": its shape is [1, 504, 30], expected 504 cells of 34 values (model.yaml, decoder)',
  });
});

function rowsOf({ shape }: OutputTensor): number {
  return shape[1] ?? 0;
}

function optionsOf({ isActivated = true }: Network): DecodeOptions {
  return { size: SIZE, activated: () => isActivated };
}

/** Cells of a network that finds the placed boxes. */
function levelsOf({ bins, strides, cellOffset, isActivated = true }: Network): readonly Level[] {
  return strides.map((stride) => {
    const [rows, cols] = [Math.ceil(SIZE.height / stride), Math.ceil(SIZE.width / stride)];
    const nothing = { scores: Array<number>(CLASSES).fill(isActivated ? 0.01 : -9) };
    const cells = Array.from({ length: rows * cols }, (): Cell => {
      return { ...nothing, boxes: Array<number>(4 * bins).fill(0) };
    });
    for (const { box, classId, confidence, ...placed } of PLACED.filter((one) => one.stride === stride)) {
      const [right, bottom] = [box.x + box.width, box.y + box.height];
      const col = Math.floor((box.x + right) / 2 / stride);
      const row = Math.floor((box.y + bottom) / 2 / stride);
      const [x, y] = [(col + cellOffset) * stride, (row + cellOffset) * stride];
      const distances = [x - box.x, y - box.y, right - x, bottom - y].map((pixels) => pixels / placed.stride);
      const scores = [...nothing.scores];
      scores[classId] = isActivated ? confidence : logit(confidence);
      cells[row * cols + col] = { scores, boxes: distances.flatMap((distance) => binsOf(distance, bins)) };
    }
    return { rows, cols, stride, cells };
  });
}

/** Values whose softmax expects a distance: shares of the two bins around it. */
function binsOf(distance: number, bins: number): readonly number[] {
  if (bins === 1) return [distance];
  assert.ok(distance >= 0 && distance < bins - 1, `distance ${distance} of ${bins} bins`);
  const below = Math.floor(distance);
  const shares = Array<number>(bins).fill(1e-12);
  shares[below] = Math.max(1e-12, 1 - (distance - below));
  shares[below + 1] = Math.max(1e-12, distance - below);
  return shares.map(Math.log);
}

function oneOutput(network: Network): OutputTensor[] {
  const cells = levelsOf(network).flatMap((level) => level.cells);
  const values = cells.flatMap(({ scores, boxes }) => [...scores, ...boxes]);
  return [floats('output', [1, cells.length, CLASSES + 4 * network.bins], values)];
}

/** All scores, then all boxes. */
function rowOutputs(network: Network, name: string): OutputTensor[] {
  const levels = levelsOf(network);
  const of = (part: 'scores' | 'boxes', count: number) =>
    levels.map(({ stride, cells }) => {
      const values = cells.flatMap((cell) => cell[part]);
      return floats(`${part}_${name}_${stride}`, [1, cells.length, count], values);
    });
  return [...of('scores', CLASSES), ...of('boxes', 4 * network.bins)];
}

/** Boxes and scores of each stride. */
function mapOutputs(network: Network, { withSum = false }: { readonly withSum?: boolean }): OutputTensor[] {
  return levelsOf(network).flatMap((level) => {
    const { stride, cells } = level;
    const sums = cells.map(({ scores }) =>
      Math.min(
        1,
        scores.reduce((sum, score) => sum + score, 0),
      ),
    );
    return [
      mapOf(level, { name: `boxes${stride}`, values: cells.map(({ boxes }) => boxes) }),
      mapOf(level, { name: `scores${stride}`, values: cells.map(({ scores }) => scores) }),
      ...(withSum ? [mapOf(level, { name: `sum${stride}`, values: sums.map((sum) => [sum]) })] : []),
    ];
  });
}

function joinedOutputs(network: Network, first: 'scores' | 'boxes'): OutputTensor[] {
  return levelsOf(network).map((level) => {
    const values = level.cells.map(({ scores, boxes }) =>
      first === 'boxes' ? [...boxes, ...scores] : [...scores, ...boxes],
    );
    return mapOf(level, { name: `map${level.stride}`, values });
  });
}

interface MapValues {
  readonly name: string;
  readonly values: readonly (readonly number[])[];
}

/** A map [1, values, rows, cols] of the values of its cells. */
function mapOf({ rows, cols }: Level, { name, values }: MapValues): OutputTensor {
  const count = values[0]?.length ?? 0;
  const planes = Array.from({ length: count }, (_, at) => values.map((cell) => cell[at] ?? 0)).flat();
  return floats(name, [1, count, rows, cols], planes);
}
