/**
 * What work costs on a device: the latency predictor is a sum of amounts of work times these costs. Amounts are
 * counted by `latency.ts`; costs are measured by `mafat calibrate`, or are those of a machine we know.
 */

/** Amounts of work, or nanoseconds a unit of it. */
export interface Work {
  /** Runs of a session, with what the executor does around them. */
  readonly steps: number;
  /** Kernel calls. */
  readonly calls: number;
  /** Multiply-accumulates of 1x1, of other, and of grouped convolutions (and whatever else multiplies). */
  readonly pointwiseMacs: number;
  readonly denseMacs: number;
  readonly groupedMacs: number;
  /** Bytes of the matrices that convolutions other than 1x1 are unrolled to. */
  readonly columnBytes: number;
  /** Bytes of weights read, once a call. */
  readonly weightBytes: number;
  /** Bytes read and written by operators that only move or map values. */
  readonly movedBytes: number;
  /** Bytes copied between maps and sessions. */
  readonly copiedBytes: number;
}

export const WORK_KINDS = [
  'steps',
  'calls',
  'pointwiseMacs',
  'denseMacs',
  'groupedMacs',
  'columnBytes',
  'weightBytes',
  'movedBytes',
  'copiedBytes',
] as const satisfies readonly (keyof Work)[];

export interface DeviceProfile {
  /** Where the costs come from, for people: a device's key, or `built-in`. */
  readonly source: string;
  /** Nanoseconds by threads of one operator. */
  readonly costs: ReadonlyMap<number, Work>;
}

/** Nothing, to be added to. */
export function emptyWork(): Record<keyof Work, number> {
  return {
    steps: 0,
    calls: 0,
    pointwiseMacs: 0,
    denseMacs: 0,
    groupedMacs: 0,
    columnBytes: 0,
    weightBytes: 0,
    movedBytes: 0,
    copiedBytes: 0,
  };
}

/** Costs for a number of threads: those of the next smaller number that was measured, else of the smallest. */
export function costsFor({ costs }: DeviceProfile, threads: number): Work {
  const known = [...costs.keys()].filter((count) => count <= threads);
  return costs.get(known.length === 0 ? Math.min(...costs.keys()) : Math.max(...known)) ?? emptyWork();
}

/** Milliseconds that an amount of work takes. */
export function latencyOf(work: Work, cost: Work): number {
  return WORK_KINDS.reduce((ns, kind) => ns + work[kind] * cost[kind], 0) / 1e6;
}
