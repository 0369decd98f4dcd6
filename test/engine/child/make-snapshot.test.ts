import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { drawShape } from '../../../agent/engine/child/draw-shape.js';
import { glyphOf } from '../../../agent/engine/child/glyphs.js';
import { makeSnapshot } from '../../../agent/engine/child/make-snapshot.js';
import type { DrawnShape, SnapshotLimits } from '../../../agent/engine/wire/protocol.js';
import { drawnImage, smallPng, temporaryFolder } from '../../fixtures.js';
import { bytesOf } from './bytes-of.js';

const LIMITS: SnapshotLimits = { width: 640, quality: 75, maxBytes: 200 * 2 ** 10 };
const BOX: DrawnShape = {
  kind: 'box',
  points: [
    { x: 0.25, y: 0.5 },
    { x: 0.75, y: 0.75 },
  ],
  text: '',
};

async function snapshotOf(
  encoded: Uint8Array,
  { shapes = [], ...limits }: Partial<SnapshotLimits> & { readonly shapes?: readonly DrawnShape[] } = {},
) {
  const image = { kind: 'bytes', name: 'picture', byteCount: encoded.byteLength } as const;
  const request = { kind: 'snapshot', image, shapes, limits: { ...LIMITS, ...limits } } as const;
  // The bytes of a source are released.
  return makeSnapshot(request, bytesOf(Uint8Array.from(encoded)));
}

async function decode(jpeg: Uint8Array) {
  const { data, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true });
  const pixel = (x: number, y: number) => [...data.subarray((y * info.width + x) * 3).subarray(0, 3)];
  return { pixel, width: info.width, height: info.height, format: (await sharp(jpeg).metadata()).format };
}

test('makeSnapshot() gives a JPEG of the picture, shrunk to the width where it is wider', async () => {
  for (const [given, expected] of [
    [
      { width: 1000, height: 500 },
      { width: 640, height: 320 },
    ],
    [
      { width: 320, height: 240 },
      { width: 320, height: 240 },
    ],
    [
      { width: 4000, height: 2 },
      { width: 640, height: 2 },
    ],
  ] as const) {
    const { width, height, format } = await decode(await snapshotOf(await smallPng(given)));
    assert.deepEqual([{ width, height }, format], [expected, 'jpeg']);
  }
});

test('makeSnapshot() draws the same for pixels, a file and encoded bytes', async (context) => {
  const encoded = await drawnImage(7);
  const file = join(temporaryFolder(context), 'picture.png');
  writeFileSync(file, encoded);
  const pixels = await sharp(encoded).removeAlpha().raw().toBuffer();
  const rest = { kind: 'snapshot', shapes: [BOX], limits: LIMITS } as const;
  const size = { width: 320, height: 240, byteCount: pixels.byteLength };
  const expected = await snapshotOf(encoded, { shapes: [BOX] });
  const image = { kind: 'pixels', name: 'picture', ...size } as const;
  assert.deepEqual(await makeSnapshot({ ...rest, image }, bytesOf(pixels)), expected);
  const fromFile = { ...rest, image: { kind: 'file', path: file } } as const;
  assert.deepEqual(await makeSnapshot(fromFile, bytesOf(new Uint8Array())), expected);
});

test('makeSnapshot() lowers the quality until the picture fits, and refuses one that never does', async () => {
  const noise = await smallPng({ width: 640, height: 480 });
  const best = await snapshotOf(noise, { maxBytes: 2 ** 20 });
  const maxBytes = Math.floor(best.byteLength / 2);
  assert.ok((await snapshotOf(noise, { maxBytes })).byteLength <= maxBytes);
  await assert.rejects(snapshotOf(noise, { maxBytes: 1000 }), /snapshot of 640x480 in 1000 bytes/);
});

test('makeSnapshot() refuses what is no image', async () => {
  await assert.rejects(snapshotOf(Buffer.from('no image')), /Cannot read image picture/);
});

/** Whether pixels of a black picture were drawn. */
function drawOn({ width, height }: { width: number; height: number }, shape: DrawnShape) {
  const data = new Uint8Array(width * height * 3);
  drawShape({ width, height, data }, shape);
  const isDrawn = (x: number, y: number) =>
    data
      .subarray((y * width + x) * 3)
      .subarray(0, 3)
      .some(Boolean);
  const count = data.filter((_, at) => at % 3 === 1 && data[at] !== 0).length;
  return { isDrawn, count };
}

test('drawShape() draws the outline of a box', () => {
  const { isDrawn, count } = drawOn({ width: 40, height: 40 }, BOX);
  assert.ok(
    [
      [10, 20],
      [30, 20],
      [30, 30],
      [10, 30],
      [20, 20],
      [10, 25],
    ].every(([x = 0, y = 0]) => isDrawn(x, y)),
  );
  assert.ok(!isDrawn(20, 25) && !isDrawn(5, 20));
  assert.equal(count, 2 * (20 + 10));
});

test('drawShape() cuts off what lies outside of the picture', () => {
  const far: DrawnShape = {
    kind: 'polygon',
    points: [
      { x: -1e9, y: 0.5 },
      { x: 1e9, y: 0.5 },
      { x: 1e9, y: 1e9 },
    ],
    text: 'far away',
  };
  const { isDrawn } = drawOn({ width: 64, height: 64 }, far);
  assert.ok([0, 30, 63].every((x) => isDrawn(x, 32)));
  for (const size of [
    { width: 2, height: 2 },
    { width: 1000, height: 3 },
  ])
    drawOn(size, { ...BOX, text: 'person' });
});

test('drawShape() writes texts without any font of the board', () => {
  const size = { width: 200, height: 100 };
  const counts = ['', 'a', 'person 50% #1', 'Tür ✓'].map((text) => drawOn(size, { ...BOX, text }).count);
  assert.equal(new Set(counts).size, counts.length);
});

test('glyphOf() has a glyph of its own for each printable character', () => {
  const printable = Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at));
  const glyphs = printable.map((character) => glyphOf(character).join());
  assert.equal(new Set(glyphs).size, printable.length);
  for (const character of printable) assert.equal(glyphOf(character).length, 5);
  assert.deepEqual(glyphOf('ü'), glyphOf('✓'));
});
