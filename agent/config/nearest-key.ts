/** Longer words are no slip of the hand, and the distance takes the product of both lengths. */
const MAX_LENGTH = 64;

/** The one of `known` with the fewest letters to change; of several, the first. */
export function nearestKey(word: string, known: readonly string[]): string | undefined {
  const distances = known.map((key) =>
    countEdits(word.slice(0, MAX_LENGTH).toLowerCase(), key.toLowerCase()),
  );
  return known[distances.indexOf(Math.min(...distances))];
}

/** Levenshtein's distance, one row of its table at a time: letters to insert, delete or replace. */
export function countEdits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (let at = 1; at <= to.length; at++) {
      const [above = 0, corner = 0, left = 0] = [row[at], row[at - 1], next[at - 1]];
      next.push(Math.min(above + 1, left + 1, corner + (to[at - 1] === letter ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
