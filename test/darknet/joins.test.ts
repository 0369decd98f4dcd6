/** Darknet layers that join earlier layers: route and shortcut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { constantNumbers, tensorAt } from '../../shared/graph/index.js';
import type { PlainMap } from '../graph/run-map.js';
import { noise, run } from '../graph/run-map.js';
import { assertFails, network, opsOf, outputShape } from './darknet-network.js';

test('buildDarknet() makes no node of [dropout] and of a [route] to one layer', () => {
  const { graph } = network('3x8x8', '[convolutional]', '[dropout] probability=.5', '[route] layers=0');
  assert.deepEqual(opsOf(graph), ['Conv', 'Sigmoid']);
  assert.deepEqual(outputShape(graph), [1, 1, 8, 8]);
});

test('buildDarknet() concatenates the layers of [route], counted from the start or backwards', () => {
  const layers = ['[convolutional] filters=2', '[convolutional] filters=3', '[convolutional] filters=4'];
  for (const [list, channels] of [
    ['0,1', 5],
    ['-1,-3', 6],
    ['2, -2, 0', 9],
  ] as const) {
    const { graph } = network('3x8x8', ...layers, `[route] layers=${list}`);
    assert.deepEqual(outputShape(graph), [1, channels, 8, 8], list);
    assert.equal(opsOf(graph).at(-1), 'Concat');
  }
});

test('buildDarknet() takes a group of channels in [route]', () => {
  const { graph } = network(
    '3x8x8',
    '[convolutional] filters=6',
    '[route] layers=-1 groups=3 group_id=2',
    '[convolutional] filters=5',
  );
  const slice = graph.nodes.find(({ op }) => op === 'Slice');
  const [starts, ends, axes] = (slice?.inputs ?? []).slice(1).map((index) => constantNumbers(graph, index));
  assert.deepEqual([starts, ends, axes], [[4], [6], [1]]);
  assert.deepEqual(tensorAt(graph, slice?.outputs[0] ?? -1).shape, [1, 2, 8, 8]);
});

test('buildDarknet() names layer, line and key when a [route] leads nowhere', () => {
  const conv = '[convolutional] filters=6';
  const cases = [
    ['layers=1', 'layers=1', /layers before 1/],
    ['layers=-2', 'layers=-2', /layers before 1/],
    ['layers=0,x', 'layers=0,x', /numbers separated by commas/],
    ['layers=0 groups=4', 'groups=4', /a divisor of 6 channels/],
    ['layers=0 groups=2 group_id=2', 'groups=2', /above group_id=2/],
  ] as const;
  for (const [keys, key, expected] of cases) {
    assertFails(['3x8x8', conv, `[route] ${keys}`], { layer: 1, key, expected });
  }
  assert.throws(() => network('3x8x8', conv, '[route]'), /layer 1 \[route\] .*expected at least one layer/);
});

test('buildDarknet() fails when [route] joins maps of different sizes', () => {
  assertFails(['3x32x24', '[convolutional]', '[maxpool] size=2 stride=2', '[route] layers=0,1'], {
    layer: 2,
    key: 'layers=0,1',
    expected: /layers of the same size, while these are 32x24, 16x12/,
  });
});

test('buildDarknet() adds the layers of [shortcut] and activates the sum', () => {
  const { graph } = network(
    '3x8x8',
    '[convolutional] filters=4 activation=linear',
    '[convolutional] filters=4 activation=linear',
    '[convolutional] filters=4 activation=linear',
    '[shortcut] from=-2,0 activation=leaky',
  );
  assert.deepEqual(opsOf(graph), ['Conv', 'Conv', 'Conv', 'Add', 'Add', 'LeakyRelu']);
  assert.deepEqual(outputShape(graph), [1, 4, 8, 8]);
});

test("buildDarknet() adds layers of other sizes and channels as Darknet's shortcut_cpu() does", async () => {
  const shortcuts = fc.record({
    outSize: fc.integer({ min: 2, max: 6 }),
    stride: fc.integer({ min: 1, max: 3 }),
    from: fc.integer({ min: 1, max: 4 }),
    to: fc.integer({ min: 1, max: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(shortcuts, async ({ outSize, stride, from, to }) => {
      const size = outSize * stride;
      const { graph } = network(
        `${from}x${size}x${size}`,
        '[dropout]',
        `[convolutional] filters=${to} stride=${stride} activation=linear`,
        '[shortcut] from=0',
      );
      const image = noise(from * size * size);
      const out = await run({ ...graph, outputs: [graph.nodes[0]?.outputs[0] ?? -1] }, image);
      naiveShortcut(
        { values: image, channels: from, width: size, height: size },
        { values: out, channels: to, width: outSize, height: outSize },
      );
      assert.deepEqual(await run(graph, image), out);
    }),
    { numRuns: 40 },
  );
});

test('buildDarknet() names layer, line and key when a [shortcut] does not fit', () => {
  const larger = ['3x8x8', '[maxpool] size=2 stride=2', '[upsample] stride=2', '[shortcut] from=0'] as const;
  assertFails(larger, { layer: 2, key: 'from=0', expected: /no smaller than 8x8, while it is 4x4/ });
  const odd = ['3x9x9', '[dropout]', '[convolutional] stride=2 size=3', '[shortcut] from=0'] as const;
  assertFails(odd, { layer: 2, key: 'from=0', expected: /multiple of 4x4/ });
  assertFails(['3x8x8', '[convolutional]', '[shortcut] from=5'], {
    layer: 1,
    key: 'from=5',
    expected: /layers before 1/,
  });
  assert.throws(() => network('3x8x8', '[convolutional]', '[shortcut]'), /layer 1 .*expected a layer/);
});

/** Adds into `out` as Darknet does. Source: blas.c, shortcut_cpu. */
function naiveShortcut(add: PlainMap, out: PlainMap): void {
  const stride = Math.max(1, Math.floor(add.width / out.width));
  const sample = Math.max(1, Math.floor(out.width / add.width));
  for (let channel = 0; channel < Math.min(add.channels, out.channels); channel += 1) {
    for (let row = 0; row < Math.min(add.height, out.height); row += 1) {
      for (let col = 0; col < Math.min(add.width, out.width); col += 1) {
        const to = col * sample + out.width * (row * sample + out.height * channel);
        const from = col * stride + add.width * (row * stride + add.height * channel);
        out.values[to] = (out.values[to] ?? 0) + (add.values[from] ?? 0);
      }
    }
  }
}

test('buildDarknet() multiplies the map of [scale_channels] by factors of the layer before', () => {
  const gate = ['[avgpool]', '[convolutional] filters=4 size=1 activation=logistic'];
  const { graph } = network('3x8x8', '[convolutional] filters=4', ...gate, '[scale_channels] from=-3');
  assert.equal(opsOf(graph).at(-1), 'Mul');
  assert.deepEqual(outputShape(graph), [1, 4, 8, 8]);
  assertFails(['3x8x8', '[convolutional] filters=5', ...gate, '[scale_channels] from=-3'], {
    layer: 3,
    key: 'from=-3',
    expected: /a layer of 4 channels/,
  });
});
