import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { readImage } from '../../../agent/engine/child/read-image.js';
import type { ImageInput } from '../../../agent/engine/wire/protocol.js';
import { drawnImage } from '../../fixtures.js';
import { imageKinds } from '../../image-kinds.js';
import { bytesOf } from './bytes-of.js';

const INPUT: ImageInput = {
  name: 'image',
  width: 16,
  height: 16,
  channels: 3,
  layout: 'nchw',
  dtype: 'float32',
  resize: 'stretch',
  colorOrder: 'rgb',
  scale: 1,
  mean: [0],
  std: [1],
};

test('readImage() gives bytes at the input size, whatever the size of the image', async () => {
  for (const [width, height] of [
    [16, 16],
    [7, 5],
    [2, 2],
    [33, 16],
    [640, 480],
    [1000, 20],
    [31, 31],
  ] as const) {
    const { data, ...size } = await decode(await flat(width, height, '#204060'));
    assert.deepEqual(size, { width, height });
    assert.equal(data.length, 16 * 16 * 3);
    assert.deepEqual(
      [...data.subarray(0, 3)].map(nearest),
      [0x20, 0x40, 0x60].map(nearest),
      `${width}x${height}`,
    );
    assert.deepEqual(
      [...data.subarray(-3)].map(nearest),
      [0x20, 0x40, 0x60].map(nearest),
      `${width}x${height}`,
    );
  }
});

test('readImage() reads a picture alike in all kinds, upright', async () => {
  const plain = await drawnImage(0);
  const input = { ...INPUT, width: 160, height: 120 };
  const expected = await decode(plain, input);
  for (const { name, bytes, loss } of await imageKinds(plain)) {
    const { data, width, height } = await decode(bytes, input);
    assert.deepEqual([width, height], [320, 240], name);
    const differences = data.map((value, at) => Math.abs(value - (expected.data[at] ?? 0)));
    const mean = differences.reduce((sum, difference) => sum + difference, 0) / data.length;
    assert.ok(mean <= loss, `${name}: ${mean}`);
  }
});

test('readImage() keeps the aspect ratio of a letterboxed image, on grey', async () => {
  const { data } = await decode(await flat(64, 32, '#ff0000'), { ...INPUT, resize: 'letterbox' });
  const pixel = (row: number) => [...data.subarray(row * 48, row * 48 + 3)];
  assert.deepEqual(pixel(0), [128, 128, 128]);
  assert.deepEqual(pixel(15), [128, 128, 128]);
  assert.deepEqual(pixel(8).map(nearest), [255, 0, 0].map(nearest));
});

test('readImage() drops transparency and spreads grey over three channels', async () => {
  const transparent = sharp({
    create: { width: 20, height: 20, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0.5 } },
  });
  assert.equal((await decode(await transparent.png().toBuffer())).data.length, 768);
  const grey = sharp({ create: { width: 20, height: 20, channels: 3, background: '#505050' } }).toColourspace(
    'b-w',
  );
  const { data } = await decode(await grey.png().toBuffer());
  assert.deepEqual([...data.subarray(0, 3)], [0x50, 0x50, 0x50]);
});

test('readImage() gives one channel to networks of one', async () => {
  const { data } = await decode(await flat(20, 20, '#ffffff'), { ...INPUT, channels: 1 });
  assert.deepEqual([data.length, data[0]], [256, 255]);
});

test('readImage() weighs colours for one channel as Pillow and OpenCV do', async () => {
  const colours = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [10, 20, 30],
    [200, 100, 50],
  ] as const;
  for (const [red, green, blue] of colours) {
    const { data } = await decode(await flat(20, 20, `rgb(${red}, ${green}, ${blue})`), {
      ...INPUT,
      channels: 1,
    });
    const expected = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    assert.deepEqual([data[0], data[128]], [expected, expected]);
  }
});

test('readImage() crops to the middle part that has the input’s shape', async () => {
  // Columns and rows as red and green.
  const pixelsOf = (width: number, height: number) =>
    Uint8Array.from({ length: width * height * 3 }, (_, at) => {
      const pixel = Math.floor(at / 3);
      return [pixel % width, Math.floor(pixel / width), 7][at % 3] ?? 0;
    });
  for (const [width, height, left, top, side] of [
    [64, 32, 16, 0, 32],
    [20, 90, 0, 35, 20],
    // Large enough to be shrunk while it is decoded.
    [250, 100, 75, 0, 100],
  ] as const) {
    const encoded = await sharp(pixelsOf(width, height), { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    const { data, ...given } = await decode(encoded, { ...INPUT, resize: 'crop' });
    assert.deepEqual(given, { width, height });
    const corners = [
      [data[0], data[1]],
      [data.at(-3), data.at(-2)],
    ];
    const expected = [
      [left, top],
      [left + side - 1, top + side - 1],
    ];
    for (const [corner, [x = 0, y = 0]] of expected.entries()) {
      const [foundX = -9, foundY = -9] = corners[corner] ?? [];
      const error = Math.max(Math.abs(foundX - x), Math.abs(foundY - y));
      assert.ok(error <= 6, `${width}x${height}: ${foundX}, ${foundY}, expected ${x}, ${y}`);
    }
  }
});

test('readImage() reads JPEG and WebP', async () => {
  const image = sharp(await flat(40, 30, '#808080'));
  assert.equal((await decode(await image.clone().jpeg().toBuffer())).width, 40);
  assert.equal((await decode(await image.clone().webp().toBuffer())).height, 30);
});

test('readImage() gives the same for pixels as for the image that they were encoded to', async () => {
  for (const [width, height] of [
    [24, 20],
    [16, 16],
    [90, 70],
  ] as const) {
    const pixels = Uint8Array.from({ length: width * height * 3 }, (_, at) => (at * 37) % 256);
    const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    for (const input of [INPUT, { ...INPUT, channels: 1 }, { ...INPUT, resize: 'letterbox' }] as const) {
      const source = { kind: 'pixels', name: 'test', width, height, byteCount: pixels.length } as const;
      const read = await readImage(source, { bytes: bytesOf(pixels), input });
      assert.deepEqual(read, await decode(png, input), `${width}x${height}`);
    }
  }
});

test('readImage() takes pixels as they are that were fitted to the network, and gives the size that they come from', async () => {
  const bytes = Uint8Array.from({ length: 4 * 2 * 3 }, (_, at) => at * 10);
  const size = { width: 1920, height: 1080 };
  const fittedFrom = { ...size, resize: 'letterbox' } as const;
  const source = { kind: 'pixels', name: 'test', width: 4, height: 2, byteCount: 24, fittedFrom } as const;
  const options = (channels: 1 | 3) => ({
    bytes: bytesOf(bytes),
    input: { ...INPUT, width: 4, height: 2, channels },
  });
  assert.deepEqual(await readImage(source, options(3)), { data: bytes, ...size });
  const grey = await readImage(source, options(1));
  assert.deepEqual([grey.data.length, grey.width, grey.height], [8, 1920, 1080]);
  await assert.rejects(
    readImage({ ...source, width: 2, height: 4 }, options(3)),
    /2x4 pixels, expected the network's 4x2/,
  );
});

test('readImage() refuses pixels of another count than their size has', async () => {
  const source = { kind: 'pixels', name: 'test', width: 4, height: 4, byteCount: 47 } as const;
  await assert.rejects(
    readImage(source, { bytes: bytesOf(new Uint8Array(47)), input: INPUT }),
    /47 bytes, expected 4x4x3/,
  );
});

test('readImage() refuses a large interlaced image', async () => {
  const bytes = await sharp(await flat(4200, 4200, 'blue'))
    .jpeg({ progressive: true })
    .toBuffer();
  await assert.rejects(decode(bytes), /4200x4200 interlaced pixels, expected at most 16777216/);
});

function decode(bytes: Uint8Array, input = INPUT) {
  return readImage(
    { kind: 'bytes', name: 'test', byteCount: bytes.length },
    { bytes: bytesOf(bytes), input },
  );
}

function flat(width: number, height: number, background: string): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();
}

/** Resampling and colour conversion may be off by one or two. */
function nearest(value: number): number {
  return Math.round(value / 8);
}
