import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Rule } from '../../shared/rules/index.js';
import {
  choice,
  invalid,
  list,
  map,
  number,
  openMap,
  orDefault,
  record,
  refine,
  text,
  valid,
  variant,
  wholeNumber,
} from '../../shared/rules/index.js';

const size = map({ width: wholeNumber(1), height: wholeNumber(1) });

test('map() gives the values of its keys, and names each fault at its place', () => {
  assert.deepEqual(size({ width: 1, height: 2 }), valid({ width: 1, height: 2 }));
  assert.deepEqual(faultsOf(list(size), [{ width: 0 }]), [
    '0.width: 0, expected a whole number from 1',
    '0.height: undefined, expected a whole number from 1',
  ]);
  assert.deepEqual(faultsOf(size, []), [': , expected a map of keys']);
});

test('map() names all unknown keys after the other faults, openMap() leaves them out', () => {
  const value = JSON.parse('{"height": 1, "depth": 3, "__proto__": 4}');
  assert.deepEqual(faultsOf(size, value), [
    'width: undefined, expected a whole number from 1',
    'depth: unknown among width, height',
    '__proto__: unknown among width, height',
  ]);
  assert.deepEqual(openMap({ height: number() })(value), valid({ height: 1 }));
});

test('map() takes no key from the prototype', () => {
  assert.deepEqual(openMap({ toString: orDefault(text(), 'none') })({}), valid({ toString: 'none' }));
});

test('variant() checks by the rule that the key names', () => {
  const shape = variant('kind', {
    point: map({ kind: choice(['point']) }),
    disc: map({ kind: choice(['disc']), radius: number() }),
  });
  assert.deepEqual(shape({ kind: 'disc', radius: 2 }), valid({ kind: 'disc', radius: 2 }));
  assert.deepEqual(faultsOf(shape, { kind: 'disc' }), ['radius: undefined, expected a number']);
  for (const kind of ['box', 'toString', 5]) {
    assert.deepEqual(faultsOf(shape, { kind }), [`kind: ${kind}, expected one of point, disc`]);
  }
});

test('list() bounds its length before it looks at its items', () => {
  const one = list(number(), { least: 1, most: 1, expected: 'a list of one number' });
  for (const value of [[], ['a', 'b'], 'a']) {
    assert.deepEqual(faultsOf(one, value), [`: ${value}, expected a list of one number`]);
  }
});

test('record() checks the value of each key', () => {
  assert.deepEqual(faultsOf(record(number()), { a: 1, b: 'c' }), ['b: c, expected a number']);
});

test('orDefault() takes null and an absent value for its default', () => {
  const rule = orDefault(number(), 7);
  for (const value of [null, undefined]) assert.deepEqual(rule(value), valid(7));
  assert.deepEqual(rule(0), valid(0));
});

test('refine() compares the parts of a value only if each is valid', () => {
  const wide = refine(size, (value) =>
    value.width > value.height ? valid(value) : invalid(value, 'a wide one'),
  );
  assert.deepEqual(wide({ width: 2, height: 1 }), valid({ width: 2, height: 1 }));
  assert.deepEqual(faultsOf(wide, { width: 1, height: 2 }), [': [object Object], expected a wide one']);
  assert.deepEqual(faultsOf(wide, { width: 1, height: 0 }), ['height: 0, expected a whole number from 1']);
});

test('a rule gives values that it takes again, or faults within the value', () => {
  const rule = map({
    sizes: list(orDefault(size, null)),
    name: orDefault(
      text('a text', ({ length }) => length < 9),
      'x',
    ),
    counts: orDefault(record(wholeNumber(0, 9)), {}),
  });
  const item = fc.oneof(fc.record({ width: fc.integer(), height: fc.integer() }), fc.jsonValue());
  const value = fc.record({ sizes: fc.array(item), name: fc.jsonValue(), counts: fc.jsonValue() });
  fc.assert(
    fc.property(fc.oneof(value, fc.jsonValue()), (given) => {
      const checked = rule(given);
      if (checked.isValid) assert.deepEqual(rule(checked.value), checked);
      else assert.ok(checked.issues.length > 0);
    }),
  );
});

/** `path: value, expected ...` of each fault. */
function faultsOf(rule: Rule<unknown>, value: unknown): readonly string[] {
  const checked = rule(value);
  if (checked.isValid) return [];
  return checked.issues.map((issue) => {
    const path = issue.path.join('.');
    return issue.kind === 'unknown-key'
      ? `${path}: unknown among ${issue.known.join(', ')}`
      : `${path}: ${issue.value}, expected ${issue.expected}`;
  });
}
