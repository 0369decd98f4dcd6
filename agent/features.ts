/**
 * The parts of the daemon, started in order and stopped in reverse. A feature that fails to start says so. The node
 * goes on without it if it is optional; else the features before it are stopped, and the failure is thrown.
 */
import type { Logger } from 'pino';

/** Started once, and stopped for good. */
export interface Feature {
  start(): unknown;
  /** May be called again, and after a start that failed. */
  stop(): unknown;
}

export interface FeatureEntry {
  readonly name: string;
  readonly feature: Feature;
  /** The node can live without it. */
  readonly isOptional?: boolean;
}

export class Features {
  readonly #entries: readonly FeatureEntry[];
  readonly #log: Logger;
  /** Features in the order of their start. */
  readonly #started: FeatureEntry[] = [];
  #starting: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  constructor(entries: readonly FeatureEntry[], log: Logger) {
    this.#entries = entries;
    this.#log = log;
  }

  /** @returns false if `stop` was called meanwhile, which ends it early. @throws what a needed feature throws. */
  async start(): Promise<boolean> {
    this.#starting = this.#startAll();
    await this.#starting;
    return this.#stopping === undefined;
  }

  /** Waits for the feature that is being started. One that fails to stop doesn't keep the others. */
  stop(): Promise<void> {
    this.#stopping ??= this.#starting.catch(() => undefined).then(() => this.#stopStarted());
    return this.#stopping;
  }

  async #startAll(): Promise<void> {
    for (const entry of this.#entries) {
      if (this.#stopping !== undefined) return;
      // A feature is stopped even if it fails half-way.
      this.#started.push(entry);
      try {
        await entry.feature.start();
      } catch (error) {
        await this.#handleFailure(entry, error);
      }
    }
  }

  async #handleFailure({ name, isOptional }: FeatureEntry, error: unknown): Promise<void> {
    if (isOptional !== true) {
      await this.#stopStarted();
      throw error;
    }
    this.#log.error({ feature: name, error: String(error) }, 'feature not started; going on without it');
  }

  async #stopStarted(): Promise<void> {
    for (const { name, feature } of this.#started.splice(0).reverse()) {
      try {
        await feature.stop();
      } catch (error) {
        this.#log.error({ feature: name, error: String(error) }, 'feature not stopped in order');
      }
    }
  }
}
