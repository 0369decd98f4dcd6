/** Keys of Darknet sections: used, ignored and refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertFails, network } from './darknet-network.js';

test('buildDarknet() ignores keys of training and refuses unknown ones', () => {
  assert.doesNotThrow(() => network('3x8x8', '[convolutional] stopbackward=1 learning_rate=.1'));
  assertFails(['3x8x8', '[convolutional] size=3 sise=3'], {
    layer: 0,
    key: 'sise=3',
    expected: /known keys are batch_normalize, filters/,
  });
});

test('buildDarknet() accepts a key that changes the result only where it is off', () => {
  for (const off of ['xnor=0', 'binary=0', 'antialiasing=0', 'flipped=0.0']) {
    assert.doesNotThrow(() => network('3x8x8', `[convolutional] ${off}`), off);
  }
  assertFails(['3x8x8', '[convolutional] xnor=1'], {
    layer: 0,
    key: 'xnor=1',
    expected: /only xnor=0 is supported/,
  });
  assertFails(['3x8x8', '[convolutional]', '[shortcut] from=0 weights_type=per_channel'], {
    layer: 1,
    key: 'weights_type=per_channel',
    expected: /only weights_type=none is supported/,
  });
});
