/**
 * The budget: bytes that the executor may hold above idle, from a reading of the board's memory:
 *
 *   min(memory.max, min(MemAvailable - floor, limit - current + reclaimable of each group)
 *                     + the executor's RssAnon - its RssAnon when idle + the planner's private memory)
 *
 * The executor can use again what it holds already, and a search ends before its plan is used: what they hold is no
 * pressure of the board. Before its start the executor holds 0, which takes its future idle memory off the budget, as
 * it should. Swap counts as zero: pages in zram are still in memory, and pages
 * on an SD card make frames late.
 */
import type { CgroupMemory, MemoryReading } from './read-memory.js';

/** Share of MemTotal below which earlyoom and systemd-oomd begin to kill; the floor has to be above it. */
export const KILLERS_RATIO = 0.1;

export type Bound = 'MemAvailable' | `cgroup ${string}` | 'config' | 'nothing known';

/** An amount of memory and the source that keeps it from being more. */
export interface BoundBytes {
  readonly bytes: number;
  readonly bound: Bound;
}

export interface BudgetOptions {
  /** Share of MemTotal that stays free for others; above KILLERS_RATIO. */
  readonly floorRatio: number;
  /** Upper bound from the configuration. */
  readonly fixedBytes?: number;
  /** The executor's RssAnon; 0 while there is none. */
  readonly executorBytes: number;
  /** The executor's RssAnon when idle. */
  readonly idleBytes: number;
  /** Private memory of the search that runs; 0 by default. */
  readonly plannerBytes?: number;
}

/** The budget, not below 0; 0 if no source tells anything, since then nothing is known to be free. */
export function computeBudget(reading: MemoryReading, options: BudgetOptions): BoundBytes {
  const { floorRatio, fixedBytes, executorBytes, idleBytes, plannerBytes = 0 } = options;
  const ownBytes = executorBytes - idleBytes + plannerBytes;
  const room = measureRoom(reading, floorRatio);
  const { bytes, bound } = tightest([
    ...(room === undefined ? [] : [{ ...room, bytes: room.bytes + ownBytes }]),
    ...reading.cgroups.flatMap((group) => bounded(group, group.maxBytes)),
    ...(fixedBytes === undefined ? [] : [{ bytes: fixedBytes, bound: 'config' as const }]),
  ]) ?? { bytes: 0, bound: 'nothing known' };
  return { bytes: Math.max(0, bytes), bound };
}

/** Bytes that can be allocated until the floor or a group's limit is met; negative beyond it, undefined if unknown. */
export function measureRoom(reading: MemoryReading, floorRatio: number): BoundBytes | undefined {
  const { board, cgroups } = reading;
  return tightest([
    ...(board === undefined
      ? []
      : [
          {
            bytes: board.availableBytes - Math.ceil(floorRatio * board.totalBytes),
            bound: 'MemAvailable' as const,
          },
        ]),
    ...cgroups.flatMap((group) => bounded(group, roomOf(group))),
  ]);
}

/** At memory.high the kernel throttles the group, which looks like a hang, so it limits as memory.max does. */
function roomOf({ maxBytes, highBytes, currentBytes, reclaimableBytes }: CgroupMemory): number | undefined {
  const limitBytes = Math.min(maxBytes ?? Infinity, highBytes ?? Infinity);
  return limitBytes === Infinity ? undefined : limitBytes - currentBytes + reclaimableBytes;
}

function bounded(group: CgroupMemory, bytes: number | undefined): readonly BoundBytes[] {
  return bytes === undefined ? [] : [{ bytes, bound: `cgroup ${group.path}` }];
}

/** The first of the smallest. */
function tightest(bounds: readonly BoundBytes[]): BoundBytes | undefined {
  return bounds.reduce<BoundBytes | undefined>(
    (least, next) => (least === undefined || next.bytes < least.bytes ? next : least),
    undefined,
  );
}
