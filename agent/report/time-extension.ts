/**
 * Asks the service manager for more time while a long job runs: the start with its first plans, or a calibration. As the
 * first feature it counts from the beginning. Without it a slow card would end the start again and again.
 */
import type { ServiceNotifier } from '../board/service-notifier.js';

export interface ExtensionOptions {
  readonly notifier: ServiceNotifier;
  /** Whether a long job runs. */
  readonly isBusy: () => boolean;
  /** Time between two requests; tests give a shorter one. */
  readonly intervalMs?: number;
}

const INTERVAL_MS = 15_000;

/** Intervals that one request is good for. */
const INTERVALS_ASKED = 4;

/** Requests for one job, a quarter of an hour: a job that takes longer hangs. */
const MOST_REQUESTS = 60;

export class TimeExtension {
  readonly #options: ExtensionOptions;
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;
  #requests = 0;

  constructor(options: ExtensionOptions) {
    this.#options = options;
    this.#intervalMs = options.intervalMs ?? INTERVAL_MS;
  }

  start(): void {
    if (!this.#options.notifier.isActive) return;
    this.#timer = setInterval(() => this.#ask(), this.#intervalMs);
    this.#ask();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #ask(): void {
    const { notifier, isBusy } = this.#options;
    if (!isBusy()) {
      this.#requests = 0;
      return;
    }
    this.#requests += 1;
    if (this.#requests > MOST_REQUESTS) return;
    notifier.send({ EXTEND_TIMEOUT_USEC: String(this.#intervalMs * INTERVALS_ASKED * 1000) });
  }
}
