/** Watches the board's memory, and calls back with the budget of each sample. */
import type { BoundBytes } from './budget.js';
import { computeBudget } from './budget.js';
import { MemoryMonitor } from './memory-monitor.js';
import type { MemoryReading } from './read-memory.js';
import { readMemory } from './read-memory.js';

/** The configuration's section `memory`: bytes, ratio of MemTotal, seconds. */
export interface WatchSettings {
  readonly budget: number | 'auto';
  readonly floor: number;
  readonly minInterval: number;
  readonly maxInterval: number;
}

export interface WatchOptions {
  /** Memory of the executor, in bytes; its idle part comes back with no plan. */
  readonly executor: () => { readonly residentBytes: number; readonly idleBytes: number };
  /** Memory of a search, in bytes, which ends before its memory is missed. */
  readonly searchBytes: () => number;
  readonly onBudget: (budget: BoundBytes) => void;
  readonly onError: (error: unknown) => void;
}

export class BudgetWatch {
  readonly #options: WatchOptions;
  #settings: WatchSettings;
  #monitor: MemoryMonitor | undefined;
  #budget: BoundBytes = { bytes: 0, bound: 'nothing known' };

  constructor(settings: WatchSettings, options: WatchOptions) {
    this.#settings = settings;
    this.#options = options;
  }

  /** The budget of the last look. */
  get budget(): BoundBytes {
    return this.#budget;
  }

  /** Reads memory now. */
  look(reading: MemoryReading = readMemory()): BoundBytes {
    const { budget, floor } = this.#settings;
    const { residentBytes, idleBytes } = this.#options.executor();
    const ownBytes = residentBytes + this.#options.searchBytes();
    const options = { floorRatio: floor, executorBytes: ownBytes, idleBytes };
    this.#budget = computeBudget(reading, budget === 'auto' ? options : { ...options, fixedBytes: budget });
    return this.#budget;
  }

  /** The first sample comes before it returns. */
  start(): void {
    this.#monitor?.stop();
    const { floor, minInterval, maxInterval } = this.#settings;
    this.#monitor = new MemoryMonitor({
      read: readMemory,
      onSample: (reading) => this.#report(reading),
      floorRatio: floor,
      minIntervalSeconds: minInterval,
      maxIntervalSeconds: maxInterval,
    });
    this.#monitor.start();
  }

  stop(): void {
    this.#monitor?.stop();
    this.#monitor = undefined;
  }

  /** Takes other settings over; while it is stopped they count from its start on. */
  configure(settings: WatchSettings): void {
    this.#settings = settings;
    if (this.#monitor !== undefined) this.start();
  }

  #report(reading: MemoryReading): void {
    try {
      this.#options.onBudget(this.look(reading));
    } catch (error) {
      this.#options.onError(error);
    }
  }
}
