import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { turnedRows, turnSize } from '../../../agent/engine/child/orientation.js';

const SIZE = { width: 5, height: 3 };

test('turnedRows() turns an image as libvips does, whatever its orientation', async () => {
  for (const channels of [1, 3] as const) {
    const data = Uint8Array.from({ length: 15 * channels }, (_, at) => at * 5);
    for (let orientation = 1; orientation <= 8; orientation += 1) {
      const size = turnSize(SIZE, orientation);
      const readRow = turnedRows({ ...SIZE, data, channels }, orientation);
      const rows = Array.from({ length: size.height }, () => {
        const row = new Uint8Array(size.width * channels);
        readRow(row);
        return [...row];
      });
      const expected = await turned(data, channels, orientation);
      assert.deepEqual(rows.flat(), [...expected.data], `orientation ${orientation}`);
      assert.deepEqual(size, { width: expected.info.width, height: expected.info.height });
    }
  }
});

async function turned(data: Uint8Array, channels: 1 | 3, orientation: number) {
  const encoded = await sharp(data, { raw: { ...SIZE, channels } })
    .withMetadata({ orientation })
    .png()
    .toBuffer();
  const upright = sharp(encoded).rotate();
  return (channels === 1 ? upright.toColourspace('b-w') : upright)
    .raw()
    .toBuffer({ resolveWithObject: true });
}
