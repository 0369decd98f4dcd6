/** Darknet's crop and cost layers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noise, run } from '../graph/run-map.js';
import { assertFails, network, opsOf } from './darknet-network.js';

test('buildDarknet() takes the middle of the image in [crop], from -1 to 1', async () => {
  const image = noise(2 * 7 * 6);
  for (const noadjust of [0, 1]) {
    const { graph } = network('2x6x7', `[crop] crop_height=4 crop_width=3 noadjust=${noadjust}`);
    const expected = Array.from({ length: 2 * 4 * 3 }, (_, at) => {
      const [channel, row, col] = [Math.floor(at / 12), Math.floor(at / 3) % 4, at % 3];
      const value = image[(channel * 7 + row + 1) * 6 + col + 1] ?? 0;
      return noadjust === 1 ? value : Math.fround(Math.fround(2 * value) - 1);
    });
    assert.deepEqual([...(await run(graph, image))], expected);
  }
  assertFails(['2x6x7', '[crop] crop_height=4 crop_width=8'], {
    layer: 0,
    key: 'crop_width=8',
    expected: /at most 6/,
  });
});

test('buildDarknet() passes over [cost], after [softmax], too', () => {
  const { graph, classifies } = network('3x8x8', '[avgpool]', '[softmax]', '[cost] type=sse');
  assert.equal(opsOf(graph).at(-1), 'Softmax');
  assert.ok(classifies);
});
