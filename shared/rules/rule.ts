/**
 * Rules for values from outside: configurations, model.yaml, requests. A rule checks a value and gives what it means,
 * or says at which places it is wrong and what was expected there.
 *
 * They are a few functions and no library, since a library for this costs the agent 1 to 6 MB for as long as it runs.
 */

/** Keys and list indices from the top of the checked value. */
export type KeyPath = readonly (string | number)[];

export type Issue =
  /** `container`: the value isn't the map or the list that was expected. `value`: another fault, or none given. */
  | {
      readonly kind: 'container' | 'value';
      readonly path: KeyPath;
      readonly value: unknown;
      readonly expected: string;
    }
  | { readonly kind: 'unknown-key'; readonly path: KeyPath; readonly known: readonly string[] };

export type Checked<T> =
  | { readonly isValid: true; readonly value: T }
  | { readonly isValid: false; readonly issues: readonly Issue[] };

export type Rule<T> = (value: unknown) => Checked<T>;

/** Type of the values that a rule gives. */
export type ValueOf<R> = R extends Rule<infer T> ? T : never;

/** A value that passes a test. @param expected completes "expected ..." in errors. */
export function valueThat<T>(expected: string, passes: (value: unknown) => value is T): Rule<T> {
  return (value) => (passes(value) ? valid(value) : invalid(value, expected));
}

/** A text that passes a test; any text without one. */
export function text(expected = 'a text', passes: (text: string) => boolean = () => true): Rule<string> {
  return valueThat(expected, (value): value is string => typeof value === 'string' && passes(value));
}

export function matching(pattern: RegExp, expected: string): Rule<string> {
  return text(expected, (value) => pattern.test(value));
}

/** A finite number that passes a test; any finite number without one. */
export function number(
  expected = 'a number',
  passes: (number: number) => boolean = () => true,
): Rule<number> {
  return valueThat(expected, (value): value is number => Number.isFinite(value) && passes(Number(value)));
}

export function numberWithin(least: number, most: number): Rule<number> {
  return number(`a number from ${least} to ${most}`, (value) => value >= least && value <= most);
}

export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): Rule<number> {
  const upTo = most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`;
  return number(
    `a whole number from ${least}${upTo}`,
    (value) => Number.isSafeInteger(value) && value >= least && value <= most,
  );
}

export function flag(): Rule<boolean> {
  return valueThat('true or false', (value) => typeof value === 'boolean');
}

export function choice<const T extends string | number>(values: readonly T[]): Rule<T> {
  const expected = values.length === 1 ? String(values[0]) : `one of ${values.join(', ')}`;
  return valueThat(expected, (value): value is T => values.some((known) => known === value));
}

/** A value as it is, whatever it is. */
export function anything(): Rule<unknown> {
  return valid;
}

export function valid<T>(value: T): Checked<T> {
  return { isValid: true, value };
}

export function invalid(
  value: unknown,
  expected: string,
  kind: 'container' | 'value' = 'value',
): Checked<never> {
  return { isValid: false, issues: [{ kind, path: [], value, expected }] };
}
