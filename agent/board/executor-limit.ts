/**
 * The limit of the executor's group for a plan: idle memory, the plan's promise, its mapped weights, and a margin.
 *
 * A group is charged for pages of files that it was the first to touch. Weights that are mapped count, or each run would
 * read them anew. So does code: without room for the code that runs, its pages are dropped and read again for ever. An
 * idle executor was charged 35 MB of code of its libraries, and 100 MB where it read Node.js first, too. In the second
 * case frames took as long as ever with 8 MB for code, and 20 times as long with 6; in the first 2 MB were enough. So
 * most of the margin is there for a plan to overrun into, which the board's floor has to bear (bench/executor-limit).
 */

/** Room for code that runs, and for the kernel's own memory of the process, which is 1 MB. */
const CODE_BYTES = 16 * 2 ** 20;

/** What a plan may take above its promise: a share of it, and at least so much. It is the predictor's tolerance. */
const TOLERANCE = { ratio: 0.05, leastBytes: 2 * 2 ** 20 } as const;

/** What a plan may take above its promise before the promise counts as broken, in bytes. */
export function toleranceOf(promisedBytes: number): number {
  return Math.max(Math.ceil(TOLERANCE.ratio * promisedBytes), TOLERANCE.leastBytes);
}

export interface Promised {
  /** The executor's private memory before any model. */
  readonly idleBytes: number;
  readonly workingBytes: number;
  /** Mapped weights that are to stay in memory; 0 where they may come and go. */
  readonly weightsBytes: number;
}

/** Bytes for `ExecutorGroup.setLimit`. */
export function limitFor({ idleBytes, workingBytes, weightsBytes }: Promised): number {
  return idleBytes + workingBytes + weightsBytes + marginFor(workingBytes);
}

/** What the limit leaves above idle memory and promise. */
export function marginFor(workingBytes: number): number {
  return CODE_BYTES + toleranceOf(workingBytes);
}
