import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseMemory } from '../../agent/cli/parse-options.js';
import { parseByteSize } from '../../agent/config/byte-size.js';

test('parseByteSize() counts K, M and G in powers of 1024', () => {
  const cases = [
    ['1', 1],
    ['512K', 512 * 2 ** 10],
    ['64mb', 64 * 2 ** 20],
    [' 1.5 GiB ', 1.5 * 2 ** 30],
    ['0.3K', 307],
  ] as const;
  for (const [text, bytes] of cases) assert.equal(parseByteSize(text), bytes, text);
});

test('parseByteSize() refuses what is no size', () => {
  for (const text of ['', 'M', '0', '0.5', '-1M', '1T', '1,5G', '1e6', '64MX', '9'.repeat(20)]) {
    assert.throws(() => parseByteSize(text), SyntaxError, `"${text}"`);
  }
});

test('parseByteSize() says the same as the command line', () => {
  const number = fc.oneof(fc.nat(), fc.double({ min: 0, max: 1e6, noNaN: true }));
  const unit = fc.constantFrom('', 'K', 'm', 'Gi', 'MB', 'kiB', ' G', 'B', 'T', 'i');
  fc.assert(
    fc.property(number, unit, (count, letters) => {
      const text = `${count}${letters}`;
      assert.equal(resultOf(parseByteSize, text), resultOf(parseMemory, text));
    }),
  );
});

function resultOf(parse: (text: string) => number, text: string): number | undefined {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
