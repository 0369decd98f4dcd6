import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TileSource } from '../../../agent/engine/child/map-store.js';
import { ImageMap, TensorMap } from '../../../agent/engine/child/map-store.js';
import type { TensorData } from '../../../agent/engine/child/onnx-runtime.js';
import type { ImageInput, Region } from '../../../agent/engine/wire/protocol.js';

test('TensorMap.ofSpec() holds all rows of a map, or those of its ring', () => {
  const spec = { dtype: 'float32', shape: [1, 2, 10, 3], preallocated: true } as const;
  const whole = TensorMap.ofSpec({ ...spec, ringRows: null });
  const ring = TensorMap.ofSpec({ ...spec, ringRows: 4 });
  assert.deepEqual([whole.tensor.shape, whole.tensor.data.length], [[1, 2, 10, 3], 60]);
  assert.deepEqual([ring.tensor.shape, ring.tensor.data.length], [[1, 2, 4, 3], 24]);
  assert.deepEqual(ring.shape, [1, 2, 10, 3]);
});

test('TensorMap reads back rows that were written over the end of its ring', () => {
  const ring = ringOf({ channels: 1, rows: 10, cols: 2, held: 4 });
  ring.write(rowsOf([[0, 1, 2]], 2), writeAt(0, 3, 2));
  ring.write(rowsOf([[3, 4, 5]], 2), writeAt(3, 3, 2));
  assert.deepEqual([...ring.tensor.data], [4, 4.5, 5, 5.5, 2, 2.5, 3, 3.5]);
  assert.deepEqual(
    readRows(ring, { rowFrom: 2, rowTo: 6, colFrom: 0, colTo: 2 }),
    [2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5],
  );
});

test('TensorMap writes the crop of a tile only', () => {
  const map = ringOf({ channels: 2, rows: 4, cols: 3, held: null });
  const tile = rowsOf(
    [
      [0, 1, 2],
      [10, 11, 12],
    ],
    2,
  );
  map.write(tile, { crop: { rowFrom: 1, rowTo: 3, colFrom: 1, colTo: 2 }, row: 2, col: 0 });
  assert.deepEqual([...map.tensor.data.slice(0, 12)].map(Number), [0, 0, 0, 0, 0, 0, 1.5, 0, 0, 2.5, 0, 0]);
  assert.deepEqual([...map.tensor.data.slice(18)].map(Number), [11.5, 0, 0, 12.5, 0, 0]);
});

test('TensorMap as a ring gives the rows of a full map while they are held', () => {
  fc.assert(
    fc.property(
      fc.record({ channels: number(1, 3), cols: number(1, 4), held: number(1, 9) }),
      fc.array(fc.tuple(number(1, 9), number(0, 9), number(0, 3), number(0, 3)), {
        minLength: 1,
        maxLength: 12,
      }),
      ({ channels, cols, held }, steps) => {
        const rows = steps.reduce((sum, [count]) => sum + Math.min(count, held), 0);
        const ring = ringOf({ channels, rows, cols, held });
        const full = ringOf({ channels, rows, cols, held: null });
        let row = 0;
        for (const [count, back, left, right] of steps) {
          const length = Math.min(count, held);
          const tile = rowsOf(
            Array.from({ length: channels }, (_, channel) => counting(100 * channel + row, length)),
            cols,
          );
          for (const map of [ring, full]) map.write(tile, writeAt(row, length, cols));
          row += length;
          const colFrom = Math.min(left, cols - 1);
          const region = {
            rowFrom: Math.max(0, row - held, row - length - back),
            rowTo: row,
            colFrom,
            colTo: Math.max(colFrom + 1, cols - right),
          };
          assert.deepEqual(readRows(ring, region), readRows(full, region));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('ImageMap gives the values of any region, however its bytes lie in memory', () => {
  fc.assert(
    fc.property(
      fc.record({ width: number(1, 19), height: number(1, 5), offset: number(0, 4) }),
      fc.record({ left: number(0, 18), right: number(0, 18), top: number(0, 4), bottom: number(0, 4) }),
      fc.constantFrom('rgb', 'bgr'),
      ({ width, height, offset }, { left, right, top, bottom }, colorOrder) => {
        const data = new Uint8Array(offset + 3 * width * height)
          .map((_, at) => (at * 37) % 256)
          .subarray(offset);
        const region = {
          rowFrom: Math.min(top, height - 1),
          rowTo: Math.max(Math.min(top, height - 1) + 1, height - bottom),
          colFrom: Math.min(left, width - 1),
          colTo: Math.max(Math.min(left, width - 1) + 1, width - right),
        };
        const image = new ImageMap({ data, width, height }, imageInput({ width, height, colorOrder }));
        const expected = [];
        for (let channel = 0; channel < 3; channel += 1)
          for (let row = region.rowFrom; row < region.rowTo; row += 1)
            for (let col = region.colFrom; col < region.colTo; col += 1) {
              const byte =
                data[3 * (row * width + col) + (colorOrder === 'rgb' ? channel : 2 - channel)] ?? 0;
              expected.push(Math.fround((byte * 2 - channel) / (channel + 1)));
            }
        assert.deepEqual(readRows(image, region), expected);
      },
    ),
    { numRuns: 500 },
  );
});

interface ImageFormat {
  readonly width: number;
  readonly height: number;
  readonly colorOrder: 'rgb' | 'bgr';
}

function imageInput(format: ImageFormat): ImageInput {
  const rest = { name: 'image', channels: 3, layout: 'nchw', dtype: 'float32', resize: 'stretch' } as const;
  return { ...rest, ...format, scale: 2, mean: [0, 1, 2], std: [1, 2, 3] };
}

function number(min: number, max: number): fc.Arbitrary<number> {
  return fc.integer({ min, max });
}

function counting(first: number, length: number): readonly number[] {
  return Array.from({ length }, (_, at) => first + at);
}

interface RingSize {
  readonly channels: number;
  readonly rows: number;
  readonly cols: number;
  readonly held: number | null;
}

function ringOf({ channels, rows, cols, held }: RingSize): TensorMap {
  const shape = [1, channels, rows, cols];
  return TensorMap.ofSpec({ dtype: 'float32', shape, preallocated: true, ringRows: held });
}

/** Rows by channel: each begins with its number and goes on in halves. */
function rowsOf(channels: readonly (readonly number[])[], cols: number): TensorData {
  const values = channels.flatMap((rows) =>
    rows.flatMap((row) => Array.from({ length: cols }, (_, col) => row + col / 2)),
  );
  const shape = [1, channels.length, channels[0]?.length ?? 0, cols];
  return { dtype: 'float32', shape, data: Float32Array.from(values) };
}

function writeAt(row: number, rows: number, cols: number) {
  return { crop: { rowFrom: 0, rowTo: rows, colFrom: 0, colTo: cols }, row, col: 0 };
}

function readRows(map: TileSource, region: Region): readonly number[] {
  const [, channels = 1] = map.shape;
  const area = (region.rowTo - region.rowFrom) * (region.colTo - region.colFrom);
  const into = new Float32Array(channels * area);
  map.read(region, into);
  return [...into];
}
