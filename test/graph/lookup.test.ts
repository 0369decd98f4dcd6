import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elementAt, present, valueFor } from '../../shared/graph/index.js';

test('elementAt() gives the element, and crashes with index and length where there is none', () => {
  assert.equal(elementAt([4, 0], 1), 0);
  assert.equal(elementAt(Int32Array.of(7), 0), 7);
  assert.throws(() => elementAt([1, 2], 2), /element 2 is missing, expected 0 to 1/);
  assert.throws(() => elementAt([1, 2], -1), RangeError);
});

test('valueFor() gives the value of a key, and crashes with the key where there is none', () => {
  assert.equal(valueFor(new Map([['a', 0]]), 'a'), 0);
  assert.throws(() => valueFor(new Map([['a', 1]]), 'b'), /key b is missing among 1/);
});

test('present() passes a value on, and crashes with its name where it is missing', () => {
  assert.equal(present(0, 'count'), 0);
  assert.throws(() => present(undefined, 'count'), /count is missing/);
});
