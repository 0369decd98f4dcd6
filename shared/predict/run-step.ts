/** This file holds the types of one run of a session, which several parts of the predictor share. */

import type { ShapeOf } from '../tile/index.js';
import type { RunSettings } from './run-settings.js';

/** Settings that decide how a kernel runs, and what its workspace takes. The allocator is `glibc` if absent. */
export type KernelSettings = Pick<RunSettings, 'level' | 'threads'> & Partial<RunSettings>;

/** One run of a session, by the shapes of its tensors and the settings of its kernels. */
export interface RunStep extends KernelSettings {
  readonly shapeOf: ShapeOf;
}
