/**
 * How much outputs may differ where a plan's kernels add up in another order (the law of exactness, docs/ARCHITECTURE.md).
 */

/** Largest difference relative to the largest value. */
const RELATIVE = 1e-5;

/** ONNX Runtime computes Sigmoid and Softmax to within 2^-23 of 1, and gives that much where they are 0. */
const OF_ONE = 2 ** -22;

/** Largest difference between values of which `largest` is the greatest magnitude. */
export function allowedDifference(largest: number): number {
  return Math.max(RELATIVE * largest, largest <= 1 ? OF_ONE : 0);
}
