/**
 * Samples the board's memory as often as it needs watching: at half the time in which what is left above the
 * floor would be gone, at the rate it is falling or at RESERVE_BYTES_PER_SECOND if that is more. The idea is
 * earlyoom's; the rate is lower, since here the floor is a reserve of its own and nothing is killed.
 *
 * Not guaranteed: memory that is taken faster than that between two samples is seen late.
 */
import { measureRoom } from './budget.js';
import type { MemoryReading } from './read-memory.js';

/**
 * How fast memory is expected to go while nothing shows it. Chosen, not measured: about what a program that
 * loads its data from an SD card takes. With 640 MB of room it samples every 5 s, with 64 MB twice a second.
 */
const RESERVE_BYTES_PER_SECOND = 64 * 2 ** 20;

export interface IntervalLimits {
  readonly minIntervalSeconds: number;
  readonly maxIntervalSeconds: number;
}

export interface MonitorOptions extends IntervalLimits {
  /** One reading, as `readMemory` gives it. */
  readonly read: () => MemoryReading;
  readonly onSample: (reading: MemoryReading) => void;
  /** As of the budget. */
  readonly floorRatio: number;
  /** A clock that doesn't jump. */
  readonly nowMs?: () => number;
}

interface Sample {
  readonly roomBytes: number;
  readonly atMs: number;
}

export class MemoryMonitor {
  readonly #options: MonitorOptions;
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | undefined;
  #last: Sample | undefined;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
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
    this.#last = undefined;
  }

  #sample(): void {
    const reading = this.#options.read();
    const seconds = this.#nextSeconds(reading);
    // Armed first, so that `onSample` can stop it.
    this.#timer = setTimeout(() => this.#sample(), seconds * 1000);
    this.#timer.unref();
    this.#options.onSample(reading);
  }

  #nextSeconds(reading: MemoryReading): number {
    const roomBytes = measureRoom(reading, this.#options.floorRatio)?.bytes;
    const before = this.#last;
    this.#last = roomBytes === undefined ? undefined : { roomBytes, atMs: this.#nowMs() };
    return this.#last === undefined
      ? this.#options.maxIntervalSeconds
      : intervalSeconds(this.#last, { ...this.#options, fallPerSecond: fallPerSecond(before, this.#last) });
  }
}

/** Seconds to the next sample: fewer with less room and with a faster fall, always within the limits. */
export function intervalSeconds(
  { roomBytes }: { readonly roomBytes: number },
  {
    minIntervalSeconds,
    maxIntervalSeconds,
    fallPerSecond,
  }: IntervalLimits & { readonly fallPerSecond: number },
): number {
  const emptyInSeconds = roomBytes / Math.max(fallPerSecond, RESERVE_BYTES_PER_SECOND);
  return Math.min(Math.max(emptyInSeconds / 2, minIntervalSeconds), maxIntervalSeconds);
}

function fallPerSecond(before: Sample | undefined, now: Sample): number {
  const seconds = before === undefined ? 0 : (now.atMs - before.atMs) / 1000;
  return before === undefined || seconds <= 0 ? 0 : (before.roomBytes - now.roomBytes) / seconds;
}
