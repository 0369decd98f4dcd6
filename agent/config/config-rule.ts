/**
 * The pieces from which the schema is built. Two laws hold for all of them:
 *
 * - A key without a value (`key:` or `key: null`) counts as absent. So a section may stand with all its lines
 *   commented out.
 * - The message of an issue names the value expected. `describe-issue.ts` makes a sentence from it.
 */
import { z } from 'zod';
import { parseByteSize } from './byte-size.js';

/** A value that is checked as a whole. Several faults of it give one issue. */
export function rule<T>(schema: z.ZodType<T>, expected: string): z.ZodType<T> {
  return z.unknown().transform((input, context) => {
    const result = schema.safeParse(input);
    if (result.success) return result.data;
    context.issues.push({ code: 'custom', message: expected, input });
    return z.NEVER;
  });
}

export function orDefault<T, D>(schema: z.ZodType<T>, fallback: D): z.ZodType<T | D> {
  const optional = schema.optional().transform((value) => (value === undefined ? fallback : value));
  return z.preprocess((value) => value ?? undefined, optional);
}

/**
 * A map with these keys only. The message of an unknown key lists the known ones, since zod has no other
 * field for them.
 */
export function map<S extends z.ZodRawShape>(shape: S) {
  return z.strictObject(shape, {
    error: ({ code }) => (code === 'unrecognized_keys' ? Object.keys(shape).join(' ') : 'a map of keys'),
  });
}

/** A map that may be absent, since all its keys may be. */
export function section<S extends z.ZodRawShape>(shape: S) {
  return z.preprocess((value) => value ?? {}, map(shape));
}

export function list<S extends z.ZodType>(item: S) {
  return z.preprocess((value) => value ?? [], z.array(item, { error: 'a list' }));
}

export function choice<const T extends readonly string[]>(values: T): z.ZodType<T[number]> {
  return rule(z.enum(values), `one of ${values.join(', ')}`);
}

export function wholeNumber(least: number, most: number): z.ZodType<number> {
  return rule(z.int().min(least).max(most), `a whole number from ${least} to ${most}`);
}

export function numberWithin(least: number, most: number): z.ZodType<number> {
  return rule(z.number().min(least).max(most), `a number from ${least} to ${most}`);
}

export function matching(pattern: RegExp, expected: string): z.ZodType<string> {
  return rule(z.string().regex(pattern), expected);
}

/** A size in bytes, given as a text with a unit or as a number. `rule` checks its bounds. */
export function byteSize(): z.ZodType<number> {
  return z.union([z.string(), z.number()]).transform((value, context) => {
    try {
      return parseByteSize(String(value));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      context.issues.push({ code: 'custom', message: error.message, input: value });
      return z.NEVER;
    }
  });
}
