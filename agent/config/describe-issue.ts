/** Describes zod's issues in sentences that name the value and what was expected. */
import type { z } from 'zod';
import { nearestKey } from './nearest-key.js';
import type { KeyPath } from './show-value.js';
import { showPath, showType, showValue, valueAt } from './show-value.js';

export interface Problem {
  readonly path: KeyPath;
  readonly message: string;
}

/**
 * The problems of an issue. Its message names the value expected (config-rule.ts).
 * @param root the document checked.
 */
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
