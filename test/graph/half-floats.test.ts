import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { halfToNumber, numberToHalf } from '../../shared/graph/index.js';

test('numberToHalf() takes back what halfToNumber() gives, for all halves', () => {
  for (let bits = 0; bits < 2 ** 16; bits += 1) {
    const value = halfToNumber(bits);
    if (!Number.isNaN(value)) assert.equal(numberToHalf(value), bits);
  }
  assert.ok(Number.isNaN(halfToNumber(numberToHalf(Number.NaN))));
});

test('numberToHalf() gives the nearest half, and the even one of two', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0x7bfe }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (bits, part) => {
        const [below, above] = [halfToNumber(bits), halfToNumber(bits + 1)];
        const value = below + (above - below) * part;
        const middle = (below + above) / 2;
        const even = bits % 2 === 0 ? bits : bits + 1;
        const expected = value === middle ? even : value < middle ? bits : bits + 1;
        assert.equal(numberToHalf(value), expected);
        assert.equal(numberToHalf(-value), expected | 0x8000);
      },
    ),
  );
  assert.equal(numberToHalf(65519.99), 0x7bff);
  assert.equal(numberToHalf(65520), 0x7c00);
});
