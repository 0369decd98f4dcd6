/** Describes faults of a configuration in sentences that name the value and what was expected. */
import type { Issue, KeyPath } from '../../shared/rules/index.js';
import { nearestKey } from './nearest-key.js';
import { showPath, showType, showValue } from './show-value.js';

export interface Problem {
  readonly path: KeyPath;
  readonly message: string;
}

export function describeIssue(issue: Issue): Problem {
  const { path } = issue;
  if (issue.kind === 'unknown-key') return describeUnknownKey(path, issue.known);
  const { kind, value, expected } = issue;
  if (value === undefined || value === null) return { path, message: `is missing, expected ${expected}` };
  const shown = kind === 'container' ? showType(value) : showValue(value, path);
  return { path, message: `cannot be ${shown}, expected ${expected}` };
}

function describeUnknownKey(path: KeyPath, known: readonly string[]): Problem {
  const nearest = nearestKey(showPath(path.slice(-1)), known);
  return { path, message: `unknown key, did you mean "${nearest}"? Expected one of ${known.join(', ')}` };
}
