import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Mode } from '../../shared/tile/index.js';
import { formatMode, parseMode, streamedTilesOf, tilesOf, WHOLE } from '../../shared/tile/index.js';

test('parseMode() reads back what formatMode() wrote', () => {
  const size = fc.integer({ min: 1, max: 64 });
  const modes: fc.Arbitrary<Mode> = fc.oneof(
    fc.constant(WHOLE),
    fc.tuple(size, size).map(([rows, cols]) => tilesOf(rows, cols)),
    fc.integer({ min: 1, max: 1024 }).map((rows) => ({ kind: 'stream', rows }) as const),
    fc
      .tuple(size, size, fc.integer({ min: 1, max: 1024 }))
      .map(([rows, cols, stepRows]) => streamedTilesOf({ rows, cols }, stepRows)),
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
    '2x2:',
    ':stream4',
    '2x2stream4',
    '2x2:4',
    '2x2:whole',
    '2x2:stream0',
    '2x2:stream1025',
    '0x2:stream4',
    '65x1:stream4',
    '2x2: stream4',
    '2x2:stream4:stream4',
    'stream4:2x2',
    'whole:stream4',
  ]) {
    assert.throws(() => parseMode(mode), {
      name: 'SyntaxError',
      message: new RegExp(
        `^Cannot parse mode "${mode}": expected whole\\b.*64x64.*streamROWS such as stream4$`,
      ),
    });
  }
});

test('parseMode() reads streamed tiles, and one tile as a stream', () => {
  assert.deepEqual(parseMode('2x1:stream4'), { kind: 'streamed-tiles', rows: 2, cols: 1, stepRows: 4 });
  assert.deepEqual(parseMode('1x1:stream4'), { kind: 'stream', rows: 4 });
});
