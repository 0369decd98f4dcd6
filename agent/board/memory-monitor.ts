/**
 * Samples the board's memory as often as it needs watching. The next sample comes after half the time in which the room
 * above the floor would be gone, at the rate at which it falls, or at RESERVE_BYTES_PER_SECOND if that is more. The idea
 * is earlyoom's. The rate is lower, since the floor is a reserve here and nothing is killed.
 *
 * Not guaranteed: memory that is taken faster than that between two samples is seen late.
 */
import { measureRoom } from './budget.js';
import type { MemoryReading } from './read-memory.js';

/**
 * Rate at which memory is expected to go while no sample shows it. Chosen, not measured: about the rate of a program
 * that loads its data from an SD card. With 640 MB of room it samples every 5 s, with 64 MB twice a second.
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
