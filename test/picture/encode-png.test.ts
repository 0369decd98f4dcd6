import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import sharp from 'sharp';
import { CLASS_COLOURS } from '../../agent/picture/class-colours.js';
import type { Picture } from '../../agent/picture/encode-png.js';
import { encodePng, PngSizeError } from '../../agent/picture/encode-png.js';

test('encodePng() keeps all pixels, grey or RGB', async () => {
  const pictures = fc
    .record({
      width: fc.integer({ min: 1, max: 40 }),
      height: fc.integer({ min: 1, max: 40 }),
      channels: fc.constantFrom(1 as const, 3 as const),
    })
    .chain(({ width, height, channels }) => {
      const length = width * height * channels;
      const bytes = fc.uint8Array({ minLength: length, maxLength: length });
      return bytes.map((data) => ({ width, height, channels, data }));
    });
  await fc.assert(
    fc.asyncProperty(pictures, async (picture) => {
      const png = await encodePng(pictureOf(picture));
      const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
      assert.deepEqual([info.width, info.height], [picture.width, picture.height]);
      const first =
        picture.channels === info.channels ? data : data.filter((_, at) => at % info.channels === 0);
      assert.deepEqual(new Uint8Array(first), picture.data);
    }),
    { numRuns: 40 },
  );
});

test('encodePng() keeps pictures of many blocks, and photos take less than their pixels', async () => {
  const [width, height] = [900, 700];
  const data = Uint8Array.from({ length: width * height * 3 }, (_, at) => {
    const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)];
    return 128 + 60 * Math.sin(x / 31) + 60 * Math.cos(y / 23) + ((at * 7919) % 5);
  });
  const png = await encodePng(pictureOf({ width, height, channels: 3, data }));
  assert.deepEqual(new Uint8Array(await sharp(png).raw().toBuffer()), data);
  assert.ok(png.byteLength < data.byteLength / 2, `${png.byteLength} of ${data.byteLength}`);
});

test('encodePng() shows numbers in the colours of their palette', async () => {
  const picture = pictureOf({ width: 2, height: 2, channels: 1, data: Uint8Array.of(0, 1, 2, 255) });
  const png = await encodePng({ ...picture, palette: CLASS_COLOURS });
  // Bit depth and colour type of the header.
  assert.deepEqual([...png.subarray(24, 26)], [8, 3]);
  const colours = [...(await sharp(png).raw().toBuffer())];
  assert.deepEqual(colours, [0, 0, 0, 128, 0, 0, 0, 128, 0, 224, 224, 192]);
});

test('encodePng() stops once a PNG is too large', async () => {
  const data = Uint8Array.from({ length: 1 << 20 }, (_, at) => Math.imul(at, 2654435761) >>> 24);
  let rows = 0;
  const { row, ...picture } = pictureOf({ width: 1024, height: 1024, channels: 1, data });
  const counted = (y: number) => {
    rows += 1;
    return row(y);
  };
  await assert.rejects(encodePng({ ...picture, row: counted }, { maxBytes: 1000 }), PngSizeError);
  assert.ok(rows < 1024, `${rows} rows were read`);
});

interface Pixels extends Pick<Picture, 'width' | 'height' | 'channels'> {
  readonly data: Uint8Array;
}

function pictureOf({ data, ...picture }: Pixels): Picture {
  const bytes = picture.width * picture.channels;
  return { ...picture, row: (y) => data.subarray(y * bytes, (y + 1) * bytes) };
}
