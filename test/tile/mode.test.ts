import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Mode } from '../../shared/index.js';
import { formatMode, parseMode, tilesOf, WHOLE } from '../../shared/index.js';

test('parseMode() reads back what formatMode() wrote', () => {
  const size = fc.integer({ min: 1, max: 64 });
  const modes: fc.Arbitrary<Mode> = fc.oneof(
    fc.constant(WHOLE),
    fc.tuple(size, size).map(([rows, cols]) => tilesOf(rows, cols)),
    fc.integer({ min: 1, max: 1024 }).map((rows) => ({ kind: 'stream', rows }) as const),
  );
  fc.assert(fc.property(modes, (mode) => assert.deepEqual(parseMode(formatMode(mode)), mode)));
});

test('parseMode() names what is allowed when rows of a stream are out of range or missing', () => {
  for (const mode of [
    'stream',
    'stream0',
    'stream1025',
    'stream99999',
    'stream-1',
    'stream1.5',
    'stream 4',
    'Stream4',
    '4stream',
    'stream4x4',
  ]) {
    assert.throws(() => parseMode(mode), {
      name: 'SyntaxError',
      message: new RegExp(
        `^Cannot parse mode "${mode}": expected whole\\b.*64x64.*streamROWS such as stream4$`,
      ),
    });
  }
});
