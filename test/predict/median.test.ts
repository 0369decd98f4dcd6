import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median } from '../../shared/predict/index.js';

test('median() gives the value in the middle, whatever the order', () => {
  assert.equal(median([10, 2, 9]), 9);
  assert.equal(median([3]), 3);
});

test('median() gives the mean of the two in the middle when the count is even', () => {
  assert.equal(median([4, 1, 2, 100]), 3);
});

test('median() is NaN when there are no values, and leaves its list as it is', () => {
  assert.equal(median([]), Number.NaN);
  const values = [2, 1];
  median(values);
  assert.deepEqual(values, [2, 1]);
});
