/** Zod's issues as sentences that say what is wrong, the value, and what is allowed. */
import type { z } from 'zod';
import { nearestKey } from './nearest-key.js';
import type { KeyPath } from './show-value.js';
import { showPath, showType, showValue, valueAt } from './show-value.js';

export interface Problem {
  readonly path: KeyPath;
  readonly message: string;
}

/** `root` is what was checked. The message of an issue is what was expected: config-rule.ts. */
export function describeIssue(issue: z.core.$ZodIssue, root: unknown): readonly Problem[] {
  const { path, message } = issue;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => describeUnknownKey([...path, key], message.split(' ')));
  }
  const value = valueAt(root, path);
  if (value === undefined || value === null) return [{ path, message: `is missing, expected ${message}` }];
  const shown = issue.code === 'invalid_type' ? showType(value) : showValue(value, path);
  return [{ path, message: `cannot be ${shown}, expected ${message}` }];
}

function describeUnknownKey(path: KeyPath, known: readonly string[]): Problem {
  const nearest = nearestKey(showPath(path.slice(-1)), known);
  return { path, message: `unknown key, did you mean "${nearest}"? Expected one of ${known.join(', ')}` };
}
