/** Run settings are the choices of a plan other than its segments: level, allocator and threads. */

/** ONNX Runtime's graph optimisation levels, least first. */
export const LEVELS = ['disabled', 'basic', 'extended', 'layout', 'all'] as const;
export type Level = (typeof LEVELS)[number];

/** Whether convolutions run in blocked layout (NCHWc) at a level. */
export function isBlocked(level: Level): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf('layout');
}

/**
 * Allocators of the executor; the board decides which. `glibc` gives freed memory back to the system at once, and each
 * page that is wanted again costs a fault. `jemalloc` gives it back after a while, and steps find their pages again.
 */
export const ALLOCATORS = ['jemalloc', 'glibc'] as const;
export type Allocator = (typeof ALLOCATORS)[number];

/** Settings that decide how a kernel runs, and what its workspace takes. The allocator is `glibc` if absent. */
export type KernelSettings = Pick<RunSettings, 'level' | 'threads'> & Partial<RunSettings>;

/** Settings that hold for all segments of a plan. */
export interface RunSettings {
  readonly level: Level;
  readonly allocator: Allocator;
  /** Threads of one operator. */
  readonly threads: number;
}
