import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countEdits, nearestKey } from '../../agent/config/nearest-key.js';

test('countEdits() counts letters to insert, delete or replace', () => {
  const cases = [
    ['', '', 0],
    ['', 'abc', 3],
    ['abc', '', 3],
    ['kitten', 'sitting', 3],
    ['keepalve', 'keepalive', 1],
  ] as const;
  for (const [from, to, edits] of cases) assert.equal(countEdits(from, to), edits, `${from} ${to}`);
});

test('countEdits() is the same both ways, and at least the difference of lengths', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const edits = countEdits(a, b);
      assert.equal(edits, countEdits(b, a));
      assert.ok(edits >= Math.abs(a.length - b.length) && edits <= Math.max(a.length, b.length));
      assert.equal(edits === 0, a === b);
    }),
  );
});

test('nearestKey() passes over case, and takes the first of several', () => {
  assert.equal(nearestKey('MaxPayLoad', ['base', 'maxPayload']), 'maxPayload');
  assert.equal(nearestKey('x', ['a', 'b']), 'a');
  assert.equal(nearestKey('x', []), undefined);
});
