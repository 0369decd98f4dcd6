/**
 * What work costs on a device: the latency predictor is a sum of amounts of work times these costs. Amounts are
 * counted by `latency.ts`; costs are measured by `mafat calibrate`, or are those of a machine we know.
 */
import type { Level, RunSettings } from './run-settings.js';
import { isBlocked } from './run-settings.js';

export const WORK_KINDS = [
  /** Runs of a session, with what the executor does around them. */
  'steps',
  /** Kernel calls. */
  'calls',
  /** Multiply-accumulates of 1x1, of other, and of grouped convolutions (and whatever else multiplies). */
  'pointwiseMacs',
  'denseMacs',
  'groupedMacs',
  /** Bytes of the matrices that convolutions other than 1x1 are unrolled to. */
  'columnBytes',
  /** Bytes of weights read, once a call. */
  'weightBytes',
  /** Bytes read and written by operators that only move or map values. */
  'movedBytes',
  /** Bytes copied between maps and sessions. */
  'copiedBytes',
  /** Bytes got from the system for a step and given back after it: each page is a fault. */
  'faultedBytes',
  /** The same, of what is large enough to come in huge pages, where the system has them. */
  'hugeBytes',
] as const;

/** Amounts of work, or nanoseconds a unit of it. */
export type Work = Readonly<Record<(typeof WORK_KINDS)[number], number>>;

/** ONNX Runtime's kernels for convolutions: those of the blocked levels, or those of all others. */
export const KERNELS = ['plain', 'blocked'] as const;
export type Kernels = (typeof KERNELS)[number];

export interface CostEntry {
  readonly kernels: Kernels;
  /** Threads of one operator. */
  readonly threads: number;
  /** Nanoseconds. */
  readonly costs: Work;
  /** What real runs have multiplied the measured costs by; 1 if absent. */
  readonly correction?: number;
}

export interface DeviceProfile {
  /** Where the costs come from: a device and when it was measured, or `built-in`. */
  readonly source: string;
  /** At least one for each kind of kernels. */
  readonly entries: readonly CostEntry[];
}

export function kernelsOf(level: Level): Kernels {
  return isBlocked(level) ? 'blocked' : 'plain';
}

/** Nothing, to be added to. */
export function emptyWork(): Record<(typeof WORK_KINDS)[number], number> {
  return Object.fromEntries(WORK_KINDS.map((kind) => [kind, 0])) as Record<
    (typeof WORK_KINDS)[number],
    number
  >;
}

/**
 * Costs for a level and a number of threads: those of the next smaller number that was measured, else of the
 * smallest. @throws {RangeError} if the profile has none for such kernels.
 */
export function costEntryFor(
  { entries, source }: DeviceProfile,
  { level, threads }: Pick<RunSettings, 'level' | 'threads'>,
): CostEntry {
  const kernels = kernelsOf(level);
  const known = entries
    .filter((entry) => entry.kernels === kernels)
    .toSorted((a, b) => a.threads - b.threads);
  const found = known.findLast((entry) => entry.threads <= threads) ?? known[0];
  if (found === undefined)
    throw new RangeError(`Cannot predict by profile ${source}: it has no ${kernels} kernels`);
  return found;
}

/** Nothing is faulted where memory is retained. @throws {RangeError} as above. */
export function costsFor(
  profile: DeviceProfile,
  { malloc = 'trimmed', ...settings }: Omit<RunSettings, 'malloc'> & Partial<RunSettings>,
): Work {
  const { costs } = costEntryFor(profile, settings);
  return malloc === 'retained' ? { ...costs, faultedBytes: 0, hugeBytes: 0 } : costs;
}

/** Milliseconds that an amount of work takes. */
export function latencyOf(work: Work, costs: Work): number {
  return WORK_KINDS.reduce((ns, kind) => ns + work[kind] * costs[kind], 0) / 1e6;
}
