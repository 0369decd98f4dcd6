/**
 * A device profile says what work costs on a device. The predicted latency is the sum of amounts of work times these
 * costs. `kernel-work.ts` and `account.ts` count the amounts. `mafat calibrate` measures the costs, or they are those of another machine.
 */
import type { Level, RunSettings } from './run-settings.js';
import { isBlocked } from './run-settings.js';

/** Kinds of work that a profile has a cost for. */
export const WORK_KINDS = [
  /** Runs of a session, with the executor's work around them. */
  'steps',
  /** Kernel calls. */
  'calls',
  /** Multiply-accumulates of 1x1 convolutions. */
  'pointwiseMacs',
  /** Multiply-accumulates of other convolutions, and of all other operators that multiply. */
  'denseMacs',
  /** Multiply-accumulates of grouped convolutions. */
  'groupedMacs',
  /** Bytes of the matrices that convolutions other than 1x1 are unrolled to. */
  'columnBytes',
  /** Bytes of weights that are read, counted once a call. */
  'weightBytes',
  /** Bytes read and written by operators that only move or map values. */
  'movedBytes',
  /** Bytes copied between maps and sessions. */
  'copiedBytes',
  /** Bytes that a step gets from the system and gives back after it, so that each page is a fault. */
  'faultedBytes',
  /** Bytes as `faultedBytes`, in blocks so large that they come in huge pages where the system has them. */
  'hugeBytes',
] as const;

/** Amounts of work by kind. The costs of a profile have the same form, in nanoseconds a unit. */
export type WorkAmounts = Readonly<Record<(typeof WORK_KINDS)[number], number>>;

/** ONNX Runtime's kernels for convolutions. The blocked levels use `blocked`, and all others `plain`. */
export const KERNELS = ['plain', 'blocked'] as const;
export type Kernels = (typeof KERNELS)[number];

/** Costs of one way to run kernels. */
export interface CostEntry {
  readonly kernels: Kernels;
  /** Threads of one operator. */
  readonly threads: number;
  /** Nanoseconds a unit of each kind of work. */
  readonly costs: WorkAmounts;
  /** Factor by which real runs exceed the measured costs. It is 1 if absent. */
  readonly correction?: number;
}

/** The costs of a device. */
export interface DeviceProfile {
  /** Source of the costs: a device and when it was measured, or `built-in`. */
  readonly source: string;
  /** Entries, at least one for each kind of kernels. */
  readonly entries: readonly CostEntry[];
}

export function kernelsOf(level: Level): Kernels {
  return isBlocked(level) ? 'blocked' : 'plain';
}

const EMPTY = Object.fromEntries(WORK_KINDS.map((kind) => [kind, 0])) as WorkAmounts;

/** Makes amounts of zero, for a sum. */
export function emptyWork(): Record<(typeof WORK_KINDS)[number], number> {
  return { ...EMPTY };
}

/**
 * Returns the costs for a level and a number of threads. If that number wasn't measured, the next smaller one counts,
 * else the smallest. @throws {RangeError} if the profile has none for such kernels.
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

/** Returns the costs for these settings. With jemalloc there are no faults. @throws {RangeError} as `costEntryFor` does. */
export function costsFor(
  profile: DeviceProfile,
  { allocator = 'glibc', ...settings }: Omit<RunSettings, 'allocator'> & Partial<RunSettings>,
): WorkAmounts {
  const { costs } = costEntryFor(profile, settings);
  return allocator === 'jemalloc' ? { ...costs, faultedBytes: 0, hugeBytes: 0 } : costs;
}

/** Returns the nanoseconds that an amount of work takes. */
export function nanosecondsOf(work: WorkAmounts, costs: WorkAmounts): number {
  return WORK_KINDS.reduce((ns, kind) => ns + work[kind] * costs[kind], 0);
}

/** Returns the milliseconds that an amount of work takes. */
export function latencyOf(work: WorkAmounts, costs: WorkAmounts): number {
  return nanosecondsOf(work, costs) / 1e6;
}
