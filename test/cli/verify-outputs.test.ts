import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyOutputs } from '../../agent/cli/verify-outputs.js';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';

test('verifyOutputs() wants equality where it was promised, else 1e-5 of the largest value', () => {
  const reference = [floats('a', 1, -100)];
  const near = [floats('a', 1.0005, -100)];
  assert.equal(verifyOutputs(near, reference, { bitExact: false }).exact, true);
  assert.equal(verifyOutputs(near, reference, { bitExact: true }).exact, false);
  assert.equal(verifyOutputs(reference, reference, { bitExact: true }).exact, true);
  assert.equal(verifyOutputs([floats('a', 1.002, -100)], reference, { bitExact: false }).exact, false);
});

test('verifyOutputs() judges each output by its own largest value', () => {
  const reference = [floats('large', 1e4, 0), floats('small', 0.09, 0)];
  const wrong = [floats('large', 1e4, 0), floats('small', 0, 0.09)];
  assert.equal(verifyOutputs(wrong, reference, { bitExact: false }).exact, false);
});

test('verifyOutputs() lets probabilities near 0 differ by what the logistic function is computed to', () => {
  const none = [floats('p', 1.2e-7, 0, 1.2e-7)];
  const others = [floats('p', 0, 1.2e-7, 0)];
  assert.equal(verifyOutputs(others, none, { bitExact: false }).exact, true);
  assert.equal(verifyOutputs(others, none, { bitExact: true }).exact, false);
  assert.equal(verifyOutputs([floats('p', 1e-6, 0, 0)], none, { bitExact: false }).exact, false);
});

test('verifyOutputs() says NaN is wrong, and refuses a reference that shows nothing', () => {
  const reference = [floats('a', 1, 2)];
  assert.equal(verifyOutputs([floats('a', Number.NaN, 2)], reference, { bitExact: false }).exact, false);
  for (const [values, reason] of [
    [[1, Number.NaN], /element 1 of the untiled network is NaN/],
    [Array<number>(8).fill(3), /the untiled network's is constant \(3\)/],
  ] as const) {
    const useless = [floats('a', ...values)];
    assert.throws(() => verifyOutputs(useless, useless, { bitExact: false }), reason);
  }
  assert.throws(
    () => verifyOutputs([floats('a', 1)], reference, { bitExact: false }),
    /its shape is \[1\], that of the untiled network is \[2\]/,
  );
});

test('verifyOutputs() compares halves as numbers', () => {
  // 1.5, -2 and the smallest subnormal.
  const bits = Uint16Array.of(0x3e00, 0xc000, 0x0001);
  const half: OutputTensor = { name: 'h', dtype: 'float16', shape: [3], bytes: new Uint8Array(bits.buffer) };
  const { maxAbsReference } = verifyOutputs([half], [half], { bitExact: true });
  assert.equal(maxAbsReference, 2);
});

function floats(name: string, ...values: number[]): OutputTensor {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { name, dtype: 'float32', shape: [values.length], bytes };
}
