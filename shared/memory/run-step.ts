import type { ShapeOf } from '../tile/shape-of.js';

/** One run of a session: the shapes its tensors have, and the threads of one operator. */
export interface RunStep {
  readonly shapeOf: ShapeOf;
  readonly threads: number;
}
