import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultOf, summarize } from '../../agent/check/answer.js';

const output = (values: readonly number[], name = 'y') => ({
  name,
  dtype: 'float32' as const,
  shape: [values.length],
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});

const ramp = Array.from({ length: 5000 }, (_, at) => at / 100);

test('faultOf() takes an answer that is equal, or within 1e-5 of the largest value', () => {
  const reference = summarize([output(ramp), output([1, 2])]);
  assert.equal(faultOf(summarize([output(ramp), output([1, 2])]), reference), undefined);
  assert.equal(
    faultOf(summarize([output(ramp.map((value) => value + 1e-4)), output([1, 2])]), reference),
    undefined,
  );
});

test('faultOf() takes probabilities near 0 that differ by what the logistic function is computed to', () => {
  const none = summarize([output([1.2e-7, 0])]);
  assert.equal(faultOf(summarize([output([0, 1.2e-7])]), none), undefined);
  assert.match(faultOf(summarize([output([0, 1e-6])]), none) ?? '', /^values differ by/);
});

test('faultOf() says by how much values differ', () => {
  const reference = summarize([output(ramp)]);
  const wrong = summarize([output(ramp.map((value) => value * 1.01))]);
  assert.match(faultOf(wrong, reference) ?? '', /^values differ by 0\.\d+ where the largest is 46\.\d+$/);
  const broken = summarize([output(ramp.map(() => Number.NaN))]);
  assert.match(faultOf(broken, reference) ?? '', /^values differ by Infinity/);
  assert.equal(faultOf(broken, broken), undefined);
  assert.match(faultOf(summarize([output([1])]), reference) ?? '', /^1 values, expected 5/);
});

test('summarize() keeps little of a large output', () => {
  const { samples } = summarize([output(Array.from({ length: 300_000 }, (_, at) => at))]);
  assert.equal(samples.length, 512);
});
