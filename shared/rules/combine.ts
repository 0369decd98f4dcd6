/** Rules made of rules: lists, maps, and values that may be absent. An absent value is null or undefined. */
import type { Checked, Issue, Rule, ValueOf } from './rule.js';
import { invalid, valid } from './rule.js';

type Shape = Readonly<Record<string, Rule<unknown>>>;
/** Keys whose value may be absent. */
type OptionalKey<S extends Shape> = {
  [K in keyof S]: undefined extends ValueOf<S[K]> ? K : never;
}[keyof S];
type ValuesOf<S extends Shape> = { readonly [K in Exclude<keyof S, OptionalKey<S>>]: ValueOf<S[K]> } & {
  readonly [K in OptionalKey<S>]?: ValueOf<S[K]>;
};

/** Values of other keys, too, which are left out. */
export function openMap<S extends Shape>(shape: S): Rule<ValuesOf<S>> {
  const rules = Object.entries(shape);
  return (value) => {
    if (!isMap(value)) return invalid(value, 'a map of keys', 'container');
    const parts = rules.map(([key, rule]) => {
      return [key, rule(Object.hasOwn(value, key) ? value[key] : undefined)] as const;
    });
    return gather(parts, (values) => Object.fromEntries(values) as ValuesOf<S>);
  };
}

/** These keys only. Faults of unknown keys come last. */
export function map<S extends Shape>(shape: S): Rule<ValuesOf<S>> {
  const [open, known] = [openMap(shape), Object.keys(shape)];
  return (value) => {
    const checked = open(value);
    if (!isMap(value)) return checked;
    const unknown = Object.keys(value)
      .filter((key) => !known.includes(key))
      .map((key): Issue => ({ kind: 'unknown-key', path: [key], known }));
    if (unknown.length === 0) return checked;
    return { isValid: false, issues: [...(checked.isValid ? [] : checked.issues), ...unknown] };
  };
}

/** Any keys, whose values all obey one rule. */
export function record<T>(rule: Rule<T>): Rule<Readonly<Record<string, T>>> {
  return (value) => {
    if (!isMap(value)) return invalid(value, 'a map of keys', 'container');
    const parts = Object.entries(value).map(([key, item]) => [key, rule(item)] as const);
    return gather(parts, (values) => Object.fromEntries(values));
  };
}

/** One of several maps, told apart by the value of one key. */
export function variant<S extends Shape>(key: string, rules: S): Rule<ValueOf<S[keyof S]>> {
  return (value) => {
    if (!isMap(value)) return invalid(value, 'a map of keys', 'container');
    const kind = value[key];
    const rule = typeof kind === 'string' && Object.hasOwn(rules, kind) ? rules[kind] : undefined;
    if (rule !== undefined) return rule(value) as Checked<ValueOf<S[keyof S]>>;
    return placed(key, invalid(kind, `one of ${Object.keys(rules).join(', ')}`));
  };
}

export interface ListLimits {
  readonly expected?: string;
  readonly least?: number;
  readonly most?: number;
}

export function list<T>(
  item: Rule<T>,
  { expected = 'a list', least = 0, most = Number.POSITIVE_INFINITY }: ListLimits = {},
): Rule<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) return invalid(value, expected, 'container');
    if (value.length < least || value.length > most) return invalid(value, expected);
    const parts = value.map((part: unknown, at) => [at, item(part)] as const);
    return gather(parts, (values) => values.map(([, element]) => element));
  };
}

export function orDefault<T, const D>(rule: Rule<T>, fallback: D): Rule<T | D> {
  return (value) => (value === undefined || value === null ? valid(fallback) : rule(value));
}

/** A rule, and then a check of what its parts have to do with each other. */
export function refine<T>(rule: Rule<T>, check: (value: T) => Checked<T>): Rule<T> {
  return (value) => {
    const checked = rule(value);
    return checked.isValid ? check(checked.value) : checked;
  };
}

/** A result whose faults are moved below a key. */
export function placed<T>(key: string | number, checked: Checked<T>): Checked<T> {
  if (checked.isValid) return checked;
  const issues = checked.issues.map((issue) => ({ ...issue, path: [key, ...issue.path] }));
  return { isValid: false, issues };
}

type Part<K, T> = readonly [key: K, checked: Checked<T>];

/** One value of many, or the faults of all. */
function gather<K extends string | number, T, U>(
  parts: readonly Part<K, T>[],
  build: (values: readonly (readonly [K, T])[]) => U,
): Checked<U> {
  const issues = parts.flatMap(([key, checked]) => {
    const result = placed(key, checked);
    return result.isValid ? [] : result.issues;
  });
  if (issues.length > 0) return { isValid: false, issues };
  return valid(build(parts.flatMap(([key, checked]) => (checked.isValid ? [[key, checked.value]] : []))));
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
