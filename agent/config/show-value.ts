/**
 * Shows paths and values of a configuration in errors, without passwords. The value of the key `password` is
 * hidden, and so are options of commands. So is any text that could hold one by mistake: `password:secret` without the
 * blank, or a URL with `user:secret@`. Of other URLs only the host is shown.
 */

import type { KeyPath } from '../../shared/rules/index.js';
import { redact } from './redact.js';

const HIDDEN = 'a value not shown here';
const MAYBE_SECRET = /pass|pwd|secret|@|options/i;
const MAX_LENGTH = 60;

export function showValue(value: unknown, path: KeyPath): string {
  if (typeof value === 'object' && value !== null) return showType(value);
  if (path.some((step) => MAYBE_SECRET.test(String(step)))) return HIDDEN;
  if (typeof value !== 'string') return String(value);
  if (MAYBE_SECRET.test(value)) return HIDDEN;
  const safe = redact(value);
  const shown = safe.length > MAX_LENGTH ? `${safe.slice(0, MAX_LENGTH)}…` : safe;
  return JSON.stringify(shown);
}

/** The type of a value, for errors where a map or a list was expected. */
export function showType(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a map of keys';
  return typeof value === 'string' ? 'a text' : `a ${typeof value}`;
}

/** A path with dots. A key is cut at the first character that no key has, since the rest may be a misplaced value. */
export function showPath(path: KeyPath): string {
  return path.map((step) => String(step).replace(/[^\w-].*$/s, '…')).join('.') || 'document';
}

/** The value at a path of parsed YAML; undefined if there is none. */
export function valueAt(root: unknown, path: KeyPath): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[step];
  }
  return value;
}
