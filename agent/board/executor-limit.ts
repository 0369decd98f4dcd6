/**
 * The limit of the executor's group for a plan: idle memory, the plan's promise, its mapped weights, and a margin.
 *
 * A group is charged for pages of files that it was the first to touch. Weights that are mapped count, or each run would
 * read them anew. So does code: without room for what runs, its pages are dropped and read again for ever. An idle
 * executor was charged 35 MB of ONNX Runtime's code, and 100 MB where Node.js hadn't been read before. Of these a run
 * needs 8 MB: with less, frames took 25 times as long; with 2 MB more than that, no longer than without a limit.
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
