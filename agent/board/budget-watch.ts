/** Watches the board's memory, and calls back with the budget of each sample. */
import type { BoundBytes } from './budget.js';
import { computeBudget } from './budget.js';
import { MemoryMonitor } from './memory-monitor.js';
import { PressureSignal } from './pressure-signal.js';
import type { CgroupMemory, MemoryReading } from './read-memory.js';
import { isStalled, MemorySource } from './read-memory.js';

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
  /** Private memory of the search that runs, in bytes, which is no pressure of the board; 0 by default. */
  readonly plannerBytes?: () => number;
  readonly onBudget: (budget: BoundBytes) => void;
  readonly onError: (error: unknown) => void;
}

export class BudgetWatch {
  readonly #options: WatchOptions;
  #settings: WatchSettings;
  readonly #source = new MemorySource();
  #monitor: MemoryMonitor | undefined;
  #signal: PressureSignal | undefined;
  #isStalled = false;
  #cgroups: readonly CgroupMemory[] = [];
  #budget: BoundBytes = { bytes: 0, bound: 'nothing known' };

  constructor(settings: WatchSettings, options: WatchOptions) {
    this.#settings = settings;
    this.#options = options;
  }

  /** The budget of the last look. */
  get budget(): BoundBytes {
    return this.#budget;
  }

  /** The groups that bind the agent, as of the last look, its own first. */
  get cgroups(): readonly CgroupMemory[] {
    return this.#cgroups;
  }

  /** Whether tasks waited for memory at the last look. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** Reads memory now. */
  look(reading: MemoryReading = this.#source.read()): BoundBytes {
    this.#isStalled = isStalled(reading);
    this.#cgroups = reading.cgroups;
    const { budget, floor } = this.#settings;
    const { residentBytes, idleBytes } = this.#options.executor();
    const plannerBytes = this.#options.plannerBytes?.() ?? 0;
    const options = { floorRatio: floor, executorBytes: residentBytes, idleBytes, plannerBytes };
    this.#budget = computeBudget(reading, budget === 'auto' ? options : { ...options, fixedBytes: budget });
    return this.#budget;
  }

  /** The first sample comes before it returns. */
  start(): void {
    this.stop();
    const { floor, minInterval, maxInterval } = this.#settings;
    const monitor = new MemoryMonitor({
      read: () => this.#source.read(),
      onSample: (reading) => this.#report(reading),
      floorRatio: floor,
      minIntervalSeconds: minInterval,
      maxIntervalSeconds: maxInterval,
    });
    this.#monitor = monitor;
    monitor.start();
    this.#signal = new PressureSignal(() => monitor.sampleNow());
    this.#signal.start();
  }

  stop(): void {
    this.#signal?.stop();
    this.#signal = undefined;
    this.#monitor?.stop();
    this.#monitor = undefined;
    this.#source.close();
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
