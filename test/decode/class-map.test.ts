import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { describeMap } from '../../agent/decode/class-map.js';
import { decodeOutputs } from '../../agent/decode/decode-outputs.js';
import { pictureOf } from '../../agent/decode/output-picture.js';
import type { ImageInput, OutputTensor } from '../../agent/engine/wire/protocol.js';
import type { DecodeOptions } from './decode-network.js';
import { chooseFor, decodeNetwork, floats } from './decode-network.js';

const SIZE = { width: 6, height: 4 };
const LABELS = ['ground', 'cat', 'dog'];
const OPTIONS: DecodeOptions = { size: SIZE, labels: LABELS };

/** Classes of 6 x 4 cells. */
const CELLS = [
  [0, 0, 0, 0, 0, 0],
  [0, 2, 2, 0, 1, 1],
  [0, 2, 2, 0, 1, 1],
  [0, 0, 0, 0, 0, 0],
].flat();

const AREA = { x: 0, y: 0, width: 6, height: 4 };
const RUNS = [0, 7, 2, 2, 0, 1, 1, 2, 0, 1, 2, 2, 0, 1, 1, 2, 0, 6];

test('class-map gives shares and runs, however the classes are written', () => {
  const outputs: readonly OutputTensor[] = [
    scoresOf('nchw'),
    scoresOf('nhwc'),
    longs('classes', [1, 4, 6]),
    longs('classes', [1, 1, 4, 6]),
    longs('classes', [1, 4, 6, 1]),
  ];
  for (const output of outputs) {
    const { decoder, shares = [], classMap, detections } = decodeNetwork([output], OPTIONS);
    assert.equal(decoder.kind, 'class-map', output.shape.join());
    assert.deepEqual(
      shares.map(({ label, classId, share }) => [label, classId, Math.round(share * 24)]),
      [
        ['ground', 0, 16],
        ['cat', 1, 4],
        ['dog', 2, 4],
      ],
    );
    assert.deepEqual(classMap, { ...SIZE, area: AREA, runs: RUNS });
    assert.deepEqual(detections, []);
  }
});

test('class-map reads a plane where it is named, after Sigmoid or before', () => {
  for (const ends of [['sigmoid'], ['convolution']] as const) {
    const [low, high] = ends[0] === 'sigmoid' ? [0.1, 0.7] : [-2, 0.4];
    const plane = floats(
      'mask',
      [1, 1, 4, 6],
      CELLS.map((classId) => (classId === 2 ? high : low)),
    );
    assert.equal(chooseFor([plane], { ...OPTIONS, labels: null, ends }).kind, 'raw');
    const { shares } = decodeNetwork([plane], {
      ...OPTIONS,
      labels: ['no', 'yes'],
      ends,
      wanted: 'class-map',
    });
    assert.deepEqual(
      shares?.map(({ label, share }) => [label, Math.round(share * 24)]),
      [
        ['no', 20],
        ['yes', 4],
      ],
    );
  }
});

test('class-map is recognised where nothing else fits', () => {
  const scores = [scoresOf('nchw')];
  const sure: readonly DecodeOptions[] = [OPTIONS, { ...OPTIONS, labels: null, ends: ['softmax'] }];
  for (const options of sure) assert.equal(chooseFor(scores, options).kind, 'class-map');
  const unsure: readonly DecodeOptions[] = [
    { ...OPTIONS, labels: null, ends: ['convolution'] },
    { ...OPTIONS, labels: null, ends: ['sigmoid'] },
    { ...OPTIONS, labels: ['a', 'b'] },
    // A map of a quarter of the input's sides could be that of a detector.
    { ...OPTIONS, size: { width: 24, height: 16 } },
  ];
  for (const options of unsure) assert.notEqual(chooseFor(scores, options).kind, 'class-map');
  const small = { ...OPTIONS, size: { width: 24, height: 16 } };
  assert.equal(chooseFor([scoresOf('nhwc')], { ...small, wanted: 'class-map' }).kind, 'class-map');
  const heads = [floats('out', [1, 21, 4, 6], []), floats('aux', [1, 21, 4, 6], [])];
  assert.equal(chooseFor(heads, { ...OPTIONS, labels: null }).kind, 'class-map');
  assert.equal(chooseFor([...heads, ...scores], { ...OPTIONS, labels: null }).kind, 'raw');
});

test('class-map leaves margins out, and says which part of the image a crop shows', () => {
  const { decoder } = decodeNetwork([scoresOf('nchw')], OPTIONS);
  const decode = (image: { width: number; height: number }, resize: ImageInput['resize']) => {
    const input = { ...SIZE, resize };
    const result = { image, latencyMs: 0, readMs: 0, outputs: [scoresOf('nchw')] };
    const options = { manifest: { decoder, input, labels: LABELS }, input };
    return { ...decodeOutputs(result, options), picture: pictureOf(result, options) };
  };
  // 60 x 20 pixels become 6 x 2 cells in the middle.
  const { classMap, shares = [], picture } = decode({ width: 60, height: 20 }, 'letterbox');
  assert.deepEqual(classMap, {
    ...{ width: 6, height: 2, area: { x: 0, y: 0, width: 60, height: 20 } },
    runs: [0, 1, 2, 2, 0, 1, 1, 2, 0, 1, 2, 2, 0, 1, 1, 2],
  });
  assert.ok(Math.abs(shares.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
  assert.deepEqual([picture.width, picture.height, ...picture.row(1)], [6, 2, 0, 2, 2, 0, 1, 1]);
  const cropped = decode({ width: 100, height: 40 }, 'crop').classMap;
  assert.deepEqual(cropped?.area, { x: 20, y: 0, width: 60, height: 40 });
  assert.deepEqual(cropped?.runs, RUNS);
});

test('describeMap() has the cells of the map, or of a coarser one where it has too many runs', () => {
  const maps = fc
    .record({ rows: fc.integer({ min: 1, max: 12 }), cols: fc.integer({ min: 1, max: 12 }) })
    .chain(({ rows, cols }) => {
      const cells = fc.uint8Array({ min: 0, max: 2, minLength: rows * cols, maxLength: rows * cols });
      return cells.map((values) => ({ rows, cols, cells: values }));
    });
  fc.assert(
    fc.property(maps, (map) => {
      const { width, height, runs } = describeMap(map, AREA);
      assert.deepEqual([height, width], [map.rows, map.cols]);
      assert.deepEqual(cellsOf(runs), [...map.cells]);
    }),
  );
  const [rows, cols] = [300, 501];
  const noise = {
    rows,
    cols,
    cells: Uint8Array.from({ length: rows * cols }, (_, at) => (Math.imul(at + 1, 2654435761) >>> 20) & 1),
  };
  const coarse = describeMap(noise, AREA);
  assert.deepEqual([coarse.height, coarse.width], [75, 126]);
  assert.equal(cellsOf(coarse.runs).length, 75 * 126);
});

test('class-map refuses shapes and classes that model.yaml does not name', () => {
  const { decoder } = decodeNetwork([scoresOf('nchw')], OPTIONS);
  const other = floats('scores', [1, 2, 4, 6], new Float32Array(48));
  assert.throws(() => decodeNetwork([other], { ...OPTIONS, told: decoder }), /its shape is \[1, 2, 4, 6\]/);
  const numbers = decodeNetwork([longs('classes', [1, 4, 6])], OPTIONS).decoder;
  const large = { ...longs('classes', [1, 4, 6]), bytes: bytesOf(BigInt64Array.from(CELLS, () => 256n)) };
  assert.throws(() => decodeNetwork([large], { ...OPTIONS, told: numbers }), /the class 256, expected whole/);
});

function cellsOf(runs: readonly number[]): readonly number[] {
  return runs.flatMap((value, at) =>
    at % 2 === 0 ? Array.from({ length: runs[at + 1] ?? 0 }, () => value) : [],
  );
}

function scoresOf(layout: 'nchw' | 'nhwc'): OutputTensor {
  const values = new Float32Array(3 * 24);
  for (const [cell, best] of CELLS.entries())
    for (let classId = 0; classId < 3; classId += 1) {
      const at = layout === 'nchw' ? classId * 24 + cell : cell * 3 + classId;
      values[at] = classId === best ? 2 : -classId;
    }
  return floats('scores', layout === 'nchw' ? [1, 3, 4, 6] : [1, 4, 6, 3], values);
}

function longs(name: string, shape: readonly number[]): OutputTensor {
  return { name, dtype: 'int64', shape, bytes: bytesOf(BigInt64Array.from(CELLS, BigInt)) };
}

function bytesOf({ buffer }: BigInt64Array): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer);
}
