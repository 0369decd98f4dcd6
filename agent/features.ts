/**
 * The parts of the daemon, started in order and stopped in reverse. A feature that fails to start says so. The node
 * goes on without it if it is optional; else what was started is stopped, and the failure is thrown.
 */
import type { Logger } from 'pino';

export interface Feature {
  start(): unknown;
  /** May be called again, and before `start`. */
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
  #started: FeatureEntry[] = [];

  constructor(entries: readonly FeatureEntry[], log: Logger) {
    this.#entries = entries;
    this.#log = log;
  }

  /** @throws what a feature throws that the node can't live without. */
  async start(): Promise<void> {
    for (const entry of this.#entries) {
      // What was begun is stopped, even if it fails half-way.
      this.#started.push(entry);
      try {
        await entry.feature.start();
      } catch (error) {
        if (entry.isOptional !== true) throw error;
        this.#log.error(
          { feature: entry.name, error: String(error) },
          'feature not started; going on without it',
        );
      }
    }
  }

  /** A feature that fails to stop doesn't keep the others. */
  async stop(): Promise<void> {
    const started = this.#started.reverse();
    this.#started = [];
    for (const { name, feature } of started) {
      try {
        await feature.stop();
      } catch (error) {
        this.#log.error({ feature: name, error: String(error) }, 'feature not stopped in order');
      }
    }
  }
}
