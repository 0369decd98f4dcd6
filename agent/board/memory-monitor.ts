/**
 * Samples the board's memory as often as it needs watching: after half the time in which the room above the floor
 * could be gone, and as often as allowed while tasks wait for memory. The idea is earlyoom's.
 *
 * Not guaranteed: memory that is taken faster than RATE between two samples is seen late.
 */
import { measureRoom } from './budget.js';
import type { MemoryReading } from './read-memory.js';
import { isStalled } from './read-memory.js';

/**
 * Rate at which memory may go, in bytes a second. A process that fills pages took 0.3 to 0.6 GiB in each second
 * (x86-64, 2 cores); this leaves room for several, and for huge pages. With 400 MB of room it samples every 100 ms,
 * with 20 GB every 5 s. At 100 ms that takes half a percent of a core, half of it for waking (bench/memory-watch).
 */
const RATE = 2 * 2 ** 30;

export interface IntervalLimits {
  readonly minIntervalSeconds: number;
  readonly maxIntervalSeconds: number;
}

export interface MonitorOptions extends IntervalLimits {
  /** One reading, as a `MemorySource` gives it. */
  readonly read: () => MemoryReading;
  readonly onSample: (reading: MemoryReading) => void;
  /** As of the budget. */
  readonly floorRatio: number;
}

export class MemoryMonitor {
  readonly #options: MonitorOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  /** The first sample comes before it returns. */
  start(): void {
    if (this.#timer === undefined) {
      this.#sample();
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Samples without waiting for the interval to pass; does nothing while stopped. */
  sampleNow(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#sample();
  }

  #sample(): void {
    const reading = this.#options.read();
    const roomBytes = measureRoom(reading, this.#options.floorRatio)?.bytes;
    const seconds = intervalSeconds({ roomBytes, isStalled: isStalled(reading) }, this.#options);
    // Armed first, so that `onSample` can stop it.
    this.#timer = setTimeout(() => this.#sample(), seconds * 1000);
    this.#timer.unref();
    this.#options.onSample(reading);
  }
}

export interface Shortage {
  /** Undefined if nothing is known. */
  readonly roomBytes: number | undefined;
  readonly isStalled: boolean;
}

/** Seconds to the next sample: fewer with less room, always within the limits. */
export function intervalSeconds(
  { roomBytes = Number.POSITIVE_INFINITY, isStalled }: Shortage,
  { minIntervalSeconds, maxIntervalSeconds }: IntervalLimits,
): number {
  if (isStalled) return minIntervalSeconds;
  return Math.min(Math.max(roomBytes / RATE / 2, minIntervalSeconds), maxIntervalSeconds);
}
