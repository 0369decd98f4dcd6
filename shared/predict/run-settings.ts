/** Run settings are the choices of a plan other than its segments: level, malloc and threads. */

/** ONNX Runtime's graph optimisation levels, least first. */
export const LEVELS = ['disabled', 'basic', 'extended', 'layout', 'all'] as const;
export type Level = (typeof LEVELS)[number];

/** Whether convolutions run in blocked layout (NCHWc) at a level. */
export function isBlocked(level: Level): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf('layout');
}

/**
 * Ways in which the executor treats memory that a step has freed. `trimmed` gives it back to the system, and each
 * page that is wanted again costs a fault. `retained` keeps it, and memory lies idle between blocks of many sizes.
 */
export const MALLOCS = ['trimmed', 'retained'] as const;
export type Malloc = (typeof MALLOCS)[number];

/** Settings that hold for all segments of a plan. */
export interface RunSettings {
  readonly level: Level;
  readonly malloc: Malloc;
  /** Threads of one operator. */
  readonly threads: number;
}
