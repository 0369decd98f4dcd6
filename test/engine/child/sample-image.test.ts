import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import sharp from 'sharp';
import { sampleImage } from '../../../agent/engine/child/sample-image.js';
import type { Size } from '../../../agent/engine/wire/shown-size.js';
import { bytesOf } from './bytes-of.js';

interface Picture extends Size {
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

const size = fc.record({ width: fc.integer({ min: 2, max: 40 }), height: fc.integer({ min: 2, max: 40 }) });
const picture = fc
  .tuple(size, fc.constantFrom(1 as const, 3 as const))
  .chain(([{ width, height }, channels]) =>
    fc.record({
      width: fc.constant(width),
      height: fc.constant(height),
      channels: fc.constant(channels),
      data: fc.uint8Array({ minLength: width * height * channels, maxLength: width * height * channels }),
    }),
  );

test('sampleImage() gives what libvips gives, but for ties of rounding', async () => {
  await fc.assert(
    fc.asyncProperty(picture, size, async (image, shown) => {
      const [ours, theirs] = [sample(image, shown), await sampleByLibvips(image, shown)];
      for (const [row, col, channel, value] of theirs.samples) {
        const at = (row * shown.width + col) * image.channels + channel;
        assert.ok(Math.abs((ours[at] ?? -1) - value) <= 1, `row ${row}, column ${col}, channel ${channel}`);
      }
    }),
    { numRuns: 60 },
  );
});

test('sampleImage() writes only its rectangle', () => {
  const image = { width: 3, height: 3, channels: 1, data: new Uint8Array(9).fill(200) } as const;
  const into = new Uint8Array(5 * 4).fill(7);
  const { read: readRow } = bytesOf(image.data);
  sampleImage({ ...image, readRow }, { width: 2, height: 2, channels: 1, into, start: 6, rowBytes: 5 });
  const written = [...into.entries()].filter(([, value]) => value !== 7);
  assert.deepEqual(
    written,
    [6, 7, 11, 12].map((at) => [at, 200]),
  );
});

function sample(image: Picture, { width, height }: Size): Uint8Array {
  const { channels, data } = image;
  const into = new Uint8Array(width * height * channels);
  const { read: readRow } = bytesOf(data);
  sampleImage({ ...image, readRow }, { width, height, channels, into, start: 0, rowBytes: width * channels });
  return into;
}

/** Pixels of border that are repeated around the image, since beyond it libvips would sample black. */
const BORDER = 2;

interface Samples {
  readonly samples: readonly (readonly [row: number, col: number, channel: number, value: number])[];
}

/** Samples by sharp's affine map. libvips rounds the sampled size, and what it doesn't give isn't compared. */
async function sampleByLibvips(image: Picture, shown: Size): Promise<Samples> {
  const { data, width, height, channels } = image;
  const sides = { left: BORDER, top: BORDER, right: BORDER, bottom: BORDER };
  const bordered = await sharp(data, { raw: { width, height, channels } })
    .extend({ ...sides, extendWith: 'copy' })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .raw()
    .toBuffer();
  const raw = { width: width + 2 * BORDER, height: height + 2 * BORDER, channels };
  const scale = [(shown.width - 1) / (width - 1), 0, 0, (shown.height - 1) / (height - 1)] as const;
  const { data: sampled, info } = await sharp(bordered, { raw })
    .affine([...scale], { interpolator: 'vsqbs', idx: -BORDER, idy: -BORDER })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const samples = [...sampled].map((value, at) => {
    const pixel = Math.floor(at / channels);
    return [Math.floor(pixel / info.width), pixel % info.width, at % channels, value] as const;
  });
  return { samples: samples.filter(([row, col]) => row < shown.height && col < shown.width) };
}
