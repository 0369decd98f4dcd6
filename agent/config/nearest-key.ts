/** Finds the known key that a misspelt one most resembles. */

import { elementAt } from '../../shared/graph/index.js';

/**
 * Letters of a word that are compared. A longer word is no misspelling, and takes time: the product of both
 * lengths.
 */
const MAX_LENGTH = 64;

/** The first known key with the fewest letters to change; undefined if none is known. */
export function nearestKey(word: string, known: readonly string[]): string | undefined {
  const distances = known.map((key) =>
    countEdits(word.slice(0, MAX_LENGTH).toLowerCase(), key.toLowerCase()),
  );
  return known[distances.indexOf(Math.min(...distances))];
}

/** Levenshtein's distance: the number of letters to insert, delete or replace. Only one row of its table is kept. */
export function countEdits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (let at = 1; at <= to.length; at += 1) {
      const deleted = elementAt(row, at) + 1;
      const inserted = elementAt(next, at - 1) + 1;
      const replaced = elementAt(row, at - 1) + (to[at - 1] === letter ? 0 : 1);
      next.push(Math.min(deleted, inserted, replaced));
    }
    row = next;
  }
  return elementAt(row, to.length);
}
