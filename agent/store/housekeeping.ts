/** Drops old rows of the store once a night, as a feature. */
import type { ScheduledTask } from 'node-cron';
import cron from 'node-cron';
import type { Logger } from 'pino';
import type { Store } from './store.js';

export interface HousekeepingOptions {
  readonly store: Store;
  /** Days for which measurements and events are kept. */
  readonly keepDays: number;
  readonly log: Logger;
}

/** At an hour and minute at which nothing else is likely to run. */
const NIGHTLY = '17 3 * * *';

const DAY_MS = 24 * 60 * 60_000;

export class Housekeeping {
  readonly #options: HousekeepingOptions;
  /** Days for which measurements and events are kept. */
  keepDays: number;
  #task: ScheduledTask | undefined;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.keepDays = options.keepDays;
  }

  start(): void {
    const { store, log } = this.#options;
    this.#task = cron.schedule(NIGHTLY, () => {
      const rows = store.dropBefore(Date.now() - this.keepDays * DAY_MS);
      log.info({ rows }, 'old measurements and events dropped');
    });
  }

  async stop(): Promise<void> {
    await this.#task?.stop();
    this.#task = undefined;
  }
}
