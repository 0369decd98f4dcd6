/** Activations of Darknet layers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertFails, attributesOf, network, opsOf, outputShape } from './darknet-network.js';

test('buildDarknet() applies the activation', () => {
  const cases = [
    ['linear', []],
    ['leaky', ['LeakyRelu']],
    ['relu', ['Relu']],
    ['relu6', ['Clip']],
    ['logistic', ['Sigmoid']],
    ['mish', ['Softplus', 'Tanh', 'Mul']],
    ['swish', ['Sigmoid', 'Mul']],
  ] as const;
  for (const [activation, ops] of cases) {
    const { graph } = network('3x8x8', `[convolutional] activation=${activation}`);
    assert.deepEqual(opsOf(graph), ['Conv', ...ops], activation);
    assert.deepEqual(outputShape(graph), [1, 1, 8, 8]);
  }
});

test('buildDarknet() defaults to logistic convolutions and linear shortcuts', () => {
  const { graph } = network('1x8x8', '[convolutional]', '[dropout]', '[shortcut] from=-2');
  assert.deepEqual(opsOf(graph), ['Conv', 'Sigmoid', 'Add']);
});

test('buildDarknet() keeps the slope of leaky activations at 0.1', () => {
  const { graph } = network('3x8x8', '[convolutional] activation=leaky');
  assert.deepEqual(attributesOf(graph.nodes[1]), { alpha: 0.1 });
});

test('buildDarknet() names layer, line and key when the activation is unknown', () => {
  assertFails(['3x8x8', '[convolutional]', '[convolutional] size=3 activation=gelu'], {
    layer: 1,
    key: 'activation=gelu',
    expected: /expected one of linear, leaky/,
  });
});
