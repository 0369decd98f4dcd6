import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rule } from '../../shared/rules/index.js';
import {
  anything,
  choice,
  flag,
  matching,
  number,
  numberWithin,
  text,
  wholeNumber,
} from '../../shared/rules/index.js';

const CASES: readonly {
  readonly rule: Rule<unknown>;
  readonly takes: readonly unknown[];
  readonly refuses: readonly unknown[];
  readonly expected: string;
}[] = [
  { rule: text(), takes: ['', 'a'], refuses: [1, null, undefined, []], expected: 'a text' },
  { rule: matching(/^a+$/, 'some a'), takes: ['aa'], refuses: ['', 'ab', 5], expected: 'some a' },
  { rule: number(), takes: [0, -1.5], refuses: [Number.NaN, Infinity, '1'], expected: 'a number' },
  { rule: numberWithin(0, 1), takes: [0, 1], refuses: [-0.1, 1.1], expected: 'a number from 0 to 1' },
  { rule: wholeNumber(2, 4), takes: [2, 4], refuses: [1, 5, 2.5], expected: 'a whole number from 2 to 4' },
  { rule: wholeNumber(1), takes: [1], refuses: [0, 2 ** 53], expected: 'a whole number from 1' },
  { rule: flag(), takes: [true, false], refuses: ['true', 0], expected: 'true or false' },
  { rule: choice(['a', 'b']), takes: ['b'], refuses: ['c', ['a']], expected: 'one of a, b' },
  { rule: choice([1]), takes: [1], refuses: ['1', true], expected: '1' },
  { rule: anything(), takes: [undefined, null, {}], refuses: [], expected: '' },
];

for (const { rule, takes, refuses, expected } of CASES) {
  test(`a rule for ${expected || 'anything'} takes what it names, and says what it expected`, () => {
    for (const value of takes) assert.deepEqual(rule(value), { isValid: true, value });
    for (const value of refuses) {
      const issues = [{ kind: 'value', path: [], value, expected }];
      assert.deepEqual(rule(value), { isValid: false, issues });
    }
  });
}
