import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attribute, Node } from '../../shared/graph/index.js';
import { windowsOf } from '../../shared/graph/window-attributes.js';

test('windowsOf() gives both axes their own stride, dilation and padding', () => {
  const ints = (...value: readonly number[]): Attribute => ({ kind: 'ints', value });
  const node = pool({ strides: ints(2, 1), dilations: ints(1, 3), pads: ints(1, 2, 3, 4) });
  assert.deepEqual(windowsOf(node, [3, 5]), [
    { kernel: 3, stride: 2, dilation: 1, padBegin: 1, padEnd: 3 },
    { kernel: 5, stride: 1, dilation: 3, padBegin: 2, padEnd: 4 },
  ]);
});

test('windowsOf() takes ONNX defaults when attributes are absent', () => {
  const plain = { stride: 1, dilation: 1, padBegin: 0, padEnd: 0 };
  assert.deepEqual(windowsOf(pool({}), [2, 4]), [
    { kernel: 2, ...plain },
    { kernel: 4, ...plain },
  ]);
});

test('windowsOf() crashes when an attribute has too few numbers', () => {
  assert.throws(() => windowsOf(pool({ strides: { kind: 'ints', value: [2] } }), [3, 3]), RangeError);
});

function pool(attributes: Node['attributes']): Node {
  return {
    name: 'pool',
    op: 'MaxPool',
    domain: '',
    inputs: [0],
    outputs: [1],
    attributes,
    captures: [],
    layer: 0,
  };
}
