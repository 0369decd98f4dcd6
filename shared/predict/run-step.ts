import type { ShapeOf } from '../tile/index.js';
import type { RunSettings } from './run-settings.js';

/** What decides how a kernel runs. */
export type KernelSettings = Pick<RunSettings, 'level' | 'threads'>;

/** One run of a session: the shapes its tensors have, and how its kernels run. */
export interface RunStep extends KernelSettings {
  readonly shapeOf: ShapeOf;
}
