/** Darknet layers that move values and compute little: upsample, reorg, softmax. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PlainMap } from '../graph/run-map.js';
import { noise, run } from '../graph/run-map.js';
import { assertFails, network, outputShape } from './darknet-network.js';

test('buildDarknet() repeats pixels in [upsample]', async () => {
  const { graph } = network('1x2x2', '[upsample] stride=2');
  const values = await run(graph, Float32Array.of(1, 2, 3, 4));
  assert.deepEqual(outputShape(graph), [1, 1, 4, 4]);
  assert.deepEqual([...values], [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
  assert.deepEqual(outputShape(network('1x2x2', '[upsample]').graph), [1, 1, 4, 4]);
});

test("buildDarknet() moves pixels in [reorg] as Darknet's reorg_cpu() does", async () => {
  const reorgs = fc.record({
    stride: fc.integer({ min: 1, max: 3 }),
    width: fc.integer({ min: 1, max: 4 }),
    height: fc.integer({ min: 1, max: 4 }),
    channels: fc.integer({ min: 1, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(reorgs, async ({ stride, ...sizes }) => {
      const [channels, width, height] = [
        sizes.channels * stride ** 2,
        sizes.width * stride,
        sizes.height * stride,
      ];
      const { graph } = network(`${channels}x${width}x${height}`, `[reorg] stride=${stride}`);
      const image = noise(channels * width * height);
      assert.deepEqual(outputShape(graph), [1, channels * stride ** 2, height / stride, width / stride]);
      assert.deepEqual(
        await run(graph, image),
        naiveReorg({ values: image, channels, width, height }, stride),
      );
    }),
    { numRuns: 40 },
  );
});

test('buildDarknet() fails when the stride of [reorg] does not divide the map', () => {
  for (const size of ['4x7x8', '4x8x7', '6x8x8']) {
    assertFails([size, '[reorg] stride=2'], { layer: 0, key: 'stride=2', expected: /a stride whose square/ });
  }
});

test('buildDarknet() ends in class probabilities when [softmax] is last', () => {
  const classifier = network('3x8x8', '[convolutional] filters=10', '[avgpool]', '[softmax] groups=1');
  assert.equal(classifier.classifies, true);
  assert.deepEqual(outputShape(classifier.graph), [1, 10]);
  assert.throws(
    () => network('3x8x8', '[softmax]', '[dropout]'),
    /layer 0 \[softmax\].*to be the last layer/,
  );
  assertFails(['3x8x8', '[softmax] groups=2'], { layer: 0, key: 'groups=2', expected: /expected 1/ });
  assertFails(['3x8x8', '[softmax] temperature=2'], {
    layer: 0,
    key: 'temperature=2',
    expected: /expected 1/,
  });
});

/** Reorg as Darknet computes it. Source: blas.c, reorg_cpu with forward = 0, as forward_reorg_layer calls it. */
function naiveReorg({ values, channels, width, height }: PlainMap, stride: number): Float32Array {
  const out = new Float32Array(values.length);
  const channelsOut = channels / stride ** 2;
  for (let at = 0; at < values.length; at += 1) {
    const [col, row] = [at % width, Math.floor(at / width) % height];
    const channel = Math.floor(at / width / height);
    const offset = Math.floor(channel / channelsOut);
    const col2 = col * stride + (offset % stride);
    const row2 = row * stride + Math.floor(offset / stride);
    const to = col2 + width * stride * (row2 + height * stride * (channel % channelsOut));
    out[at] = values[to] ?? Number.NaN;
  }
  return out;
}
