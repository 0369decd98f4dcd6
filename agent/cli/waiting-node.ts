/** A node that can't even know its broker: it does nothing but tell the service manager why it waits. */
import type { ServiceNotifier } from '../board/service-notifier.js';
import type { Daemon } from './run-daemon.js';

/** Longest time between two signs of life; it keeps the process alive, too. */
const MOST_MS = 30_000;

export class WaitingNode implements Daemon {
  readonly #notifier: ServiceNotifier;
  readonly #reason: string;
  #timer: NodeJS.Timeout | undefined;

  constructor(notifier: ServiceNotifier, reason: string) {
    this.#notifier = notifier;
    this.#reason = reason;
  }

  async start(): Promise<void> {
    const notifier = this.#notifier;
    const [firstLine = ''] = this.#reason.split('\n');
    notifier.send({ READY: '1', STATUS: `waiting for a good configuration: ${firstLine}` });
    const { watchdogMs = MOST_MS } = notifier;
    this.#timer = setInterval(() => notifier.send({ WATCHDOG: '1' }), Math.min(MOST_MS, watchdogMs / 3));
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
  }

  refuse(): void {
    // It does no work.
  }
}
