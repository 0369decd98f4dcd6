/** ONNX Runtime's graph optimisation levels, least first. */
export const LEVELS = ['disabled', 'basic', 'extended', 'layout', 'all'] as const;
export type Level = (typeof LEVELS)[number];

/** Levels at which convolutions run in blocked layout (NCHWc). */
export function isBlocked(level: Level): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf('layout');
}

/**
 * How the executor treats memory that a step has freed: `trimmed` gives it back to the system, which costs a fault
 * for each page that is wanted again; `retained` keeps it, which costs what lies idle between blocks of many sizes.
 */
export const MALLOCS = ['trimmed', 'retained'] as const;
export type Malloc = (typeof MALLOCS)[number];

/** What a plan fixes beside its segments. */
export interface RunSettings {
  readonly level: Level;
  readonly malloc: Malloc;
  /** Threads of one operator. */
  readonly threads: number;
}
