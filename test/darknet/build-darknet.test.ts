/** Whole Darknet networks: sections, sizes, outputs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildDarknet, parseDarknetConfig, SyntheticWeights } from '../../shared/darknet/index.js';
import { parseOnnx, writeOnnx } from '../../shared/onnx/index.js';
import { config, inputShape, network, opsOf, outputShape } from './darknet-network.js';

test('buildDarknet() gives the image the size of [net], or the one asked for', () => {
  const sections = parseDarknetConfig(config('4x32x24', '[dropout]', '[convolutional]'));
  const weights = new SyntheticWeights(1);
  const sized = buildDarknet(sections, { weights, size: { width: 64, height: 48 } });
  assert.deepEqual(inputShape(buildDarknet(sections, { weights }).graph), [1, 4, 24, 32]);
  assert.deepEqual(inputShape(sized.graph), [1, 4, 48, 64]);
  assert.deepEqual(outputShape(sized.graph), [1, 1, 48, 64]);
});

test('buildDarknet() outputs the last layer when there is no head', () => {
  const { graph, heads } = network('3x8x8', '[convolutional] filters=2', '[convolutional] filters=4');
  assert.deepEqual([heads, outputShape(graph)], [[], [1, 4, 8, 8]]);
});

test('buildDarknet() numbers nodes by their Darknet layer', () => {
  const { graph } = network('3x8x8', '[convolutional] activation=mish', '[dropout]', '[maxpool] size=2');
  assert.deepEqual(
    graph.nodes.map(({ layer }) => layer),
    [0, 0, 0, 0, 2],
  );
});

test('buildDarknet() says whether Darknet would keep the aspect ratio', () => {
  assert.equal(network('3x8x8', '[dropout]').letterbox, false);
  const sections = parseDarknetConfig('[net]\nwidth=8\nheight=8\nletter_box=1\n[convolutional]\n');
  assert.equal(buildDarknet(sections, { weights: new SyntheticWeights(1) }).letterbox, true);
});

test('buildDarknet() fails when a section is unknown or no layer', () => {
  assert.throws(() => network('3x8x8', '[gru]'), {
    name: 'SyntaxError',
    message: /Cannot import layer 0 \[gru\] at line 5: unknown section, expected one of net, convolutional/,
  });
  assert.throws(
    () => network('3x8x8', '[net]'),
    /layer 0 \[net\] at line 5: \[net\] is not a layer, expected one of convolutional/,
  );
  assert.throws(() => network('3x8x8'), /it has no layers, expected at least one/);
});

test('buildDarknet() fails when [net] has no size', () => {
  const sections = parseDarknetConfig('[net]\nwidth=8\n[convolutional]\n');
  assert.throws(() => buildDarknet(sections, { weights: new SyntheticWeights(1) }), {
    name: 'SyntaxError',
    message: /\[net\] at line 1: height=, expected a whole number from 1/,
  });
});

test('buildDarknet() names the layer whose map would be empty', () => {
  assert.throws(() => network('3x4x4', '[maxpool] stride=2', '[convolutional] size=3'), {
    name: 'SyntaxError',
    message: /layer 1 \[convolutional\] at line 7: its map would be 0x0.*larger input than 4x4/,
  });
});

test('buildDarknet() gives a graph that writeOnnx() can write', () => {
  const { graph } = network(
    '4x8x8',
    '[convolutional] filters=4 activation=relu6',
    '[reorg] stride=2',
    '[upsample]',
    '[route] layers=-1,0',
    '[route] layers=-1 groups=2 group_id=1',
    '[convolutional] filters=6 activation=mish',
    '[shortcut] from=0 activation=swish',
    '[avgpool]',
    '[softmax]',
  );
  assert.deepEqual(opsOf(parseOnnx(writeOnnx(graph))), opsOf(graph));
});
