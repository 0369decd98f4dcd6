/** Darknet layers that have windows: convolutions and pools. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { tensorAt } from '../../shared/graph/index.js';
import type { PlainMap } from '../graph/run-map.js';
import { noise, run } from '../graph/run-map.js';
import { assertFails, attributesOf, network, opsOf, outputShape } from './darknet-network.js';

test('buildDarknet() makes a Conv of [convolutional]', () => {
  const { graph } = network('3x32x24', '[convolutional] filters=8 size=3 stride=2 pad=1 activation=linear');
  const [conv] = graph.nodes;
  assert.deepEqual(outputShape(graph), [1, 8, 12, 16]);
  assert.deepEqual(attributesOf(conv), {
    kernel_shape: [3, 3],
    strides: [2, 2],
    dilations: [1, 1],
    pads: [1, 1, 1, 1],
    group: 1,
  });
  assert.deepEqual(tensorAt(graph, conv?.inputs[1] ?? -1).shape, [8, 3, 3, 3]);
  assert.deepEqual(tensorAt(graph, conv?.inputs[2] ?? -1).shape, [8]);
});

test('buildDarknet() reads the window of [convolutional]', () => {
  const cases = [
    ['size=3', [1, 1, 22, 30]],
    ['size=3 padding=2', [1, 1, 26, 34]],
    ['size=5 pad=1', [1, 1, 24, 32]],
    ['size=2 pad=1', [1, 1, 25, 33]],
    ['size=3 pad=1 padding=7', [1, 1, 24, 32]],
    ['size=3 pad=1 dilation=2', [1, 1, 24, 32]],
    ['size=1 dilation=4', [1, 1, 24, 32]],
    ['size=3 pad=1 stride_x=2', [1, 1, 24, 16]],
    ['size=3 pad=1 stride=4 stride_y=2', [1, 1, 12, 8]],
  ] as const;
  for (const [keys, shape] of cases) {
    assert.deepEqual(outputShape(network('3x32x24', `[convolutional] ${keys}`).graph), shape, keys);
  }
});

test('buildDarknet() asks for the weights of one group of [convolutional]', () => {
  const { graph } = network('6x8x8', '[convolutional] filters=4 size=3 groups=2 activation=linear');
  assert.deepEqual(tensorAt(graph, graph.nodes[0]?.inputs[1] ?? -1).shape, [4, 3, 3, 3]);
  assert.equal(attributesOf(graph.nodes[0]).group, 2);
  assertFails(['6x8x8', '[convolutional] filters=4 groups=4'], {
    layer: 0,
    key: 'groups=4',
    expected: /a divisor of 6 channels and 4 filters/,
  });
});

test('buildDarknet() pads [maxpool] by size - 1, the smaller half before the map', () => {
  const cases = [
    ['size=2 stride=2', [1, 3, 12, 16], [0, 0, 1, 1]],
    ['size=2 stride=1', [1, 3, 24, 32], [0, 0, 1, 1]],
    ['size=3 stride=2', [1, 3, 12, 16], [1, 1, 1, 1]],
    ['size=5', [1, 3, 24, 32], [2, 2, 2, 2]],
    ['size=4 stride=1', [1, 3, 24, 32], [1, 1, 2, 2]],
    ['stride=2', [1, 3, 12, 16], [0, 0, 1, 1]],
    ['size=2 stride=2 padding=0', [1, 3, 12, 16], [0, 0, 0, 0]],
    ['size=3 stride_x=1 stride_y=2 padding=0', [1, 3, 11, 30], [0, 0, 0, 0]],
  ] as const;
  for (const [keys, shape, pads] of cases) {
    const { graph } = network('3x32x24', `[maxpool] ${keys}`);
    assert.deepEqual(outputShape(graph), shape, keys);
    assert.deepEqual(attributesOf(graph.nodes[0]).pads, pads, keys);
  }
});

test('buildDarknet() fails when [maxpool] pads more than its window', () => {
  assertFails(['3x8x8', '[maxpool] size=2 padding=3'], {
    layer: 0,
    key: 'padding=3',
    expected: /expected less than 3/,
  });
});

test("buildDarknet() pools as Darknet's forward_maxpool_layer() does", async () => {
  const pools = fc.record({
    size: fc.integer({ min: 1, max: 5 }),
    stride: fc.integer({ min: 1, max: 3 }),
    width: fc.integer({ min: 5, max: 12 }),
    height: fc.integer({ min: 5, max: 12 }),
  });
  await fc.assert(
    fc.asyncProperty(pools, async ({ size, stride, width, height }) => {
      const { graph } = network(`2x${width}x${height}`, `[maxpool] size=${size} stride=${stride}`);
      const image = noise(2 * width * height);
      const naive = naiveMaxPool({ values: image, channels: 2, width, height }, { size, stride });
      assert.deepEqual(await run(graph, image), naive);
    }),
    { numRuns: 40 },
  );
});

test('buildDarknet() averages the whole map of each channel in [avgpool]', () => {
  const { graph } = network('5x32x24', '[avgpool]');
  assert.deepEqual(opsOf(graph), ['GlobalAveragePool']);
  assert.deepEqual(outputShape(graph), [1, 5, 1, 1]);
});

/** Max pool with Darknet's default padding. Source: maxpool_layer.c, forward_maxpool_layer. */
function naiveMaxPool(
  { values, channels, width, height }: PlainMap,
  { size, stride }: { size: number; stride: number },
): Float32Array {
  const padding = size - 1;
  const widthOut = Math.floor((width + padding - size) / stride) + 1;
  const heightOut = Math.floor((height + padding - size) / stride) + 1;
  const offset = Math.trunc(-padding / 2);
  const out = new Float32Array(channels * heightOut * widthOut).fill(Number.NEGATIVE_INFINITY);
  for (let at = 0; at < out.length * size * size; at += 1) {
    const [tap, place] = [at % (size * size), Math.floor(at / (size * size))];
    const [col, row] = [place % widthOut, Math.floor(place / widthOut) % heightOut];
    const channel = Math.floor(place / widthOut / heightOut);
    const x = offset + col * stride + (tap % size);
    const y = offset + row * stride + Math.floor(tap / size);
    if (x < 0 || x >= width || y < 0 || y >= height) continue;
    const value = values[x + width * (y + height * channel)] ?? Number.NaN;
    out[place] = Math.max(out[place] ?? 0, value);
  }
  return out;
}
