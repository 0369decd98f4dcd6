import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { limitFor, marginFor } from '../../agent/board/executor-limit.js';
import { MB } from './fake-tree.js';

test('limitFor() is what the plan may hold, and a margin of its tolerance and of code', () => {
  const limit = limitFor({ idleBytes: 20 * MB, workingBytes: 20 * MB, weightsBytes: 13 * MB });
  assert.equal(limit, (20 + 20 + 13 + 16 + 2) * MB);
  assert.equal(marginFor(100 * MB), (16 + 5) * MB);
});

test('limitFor() is a whole number of bytes, and more for a plan that needs more', () => {
  const bytes = fc.integer({ min: 0, max: 2 ** 33 });
  fc.assert(
    fc.property(bytes, bytes, bytes, bytes, (idleBytes, workingBytes, weightsBytes, moreBytes) => {
      const limit = limitFor({ idleBytes, workingBytes, weightsBytes });
      assert.ok(Number.isSafeInteger(limit) && limit > idleBytes + workingBytes + weightsBytes);
      assert.ok(
        limitFor({ idleBytes, workingBytes: workingBytes + moreBytes, weightsBytes }) >= limit + moreBytes,
      );
    }),
  );
});
