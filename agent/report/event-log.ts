/** Writes the node's events to the log, and the rare ones to the store, as a feature. */
import type { Logger } from 'pino';
import type { EventHub, Subscription } from '../events/event-hub.js';
import type { NodeEvent } from '../events/node-event.js';

export interface EventLogOptions {
  readonly hub: EventHub;
  readonly log: Logger;
  readonly store: {
    addEvent(event: { readonly kind: string; readonly detail: string }, nowMs: number): void;
  };
}

export class EventLog {
  readonly #options: EventLogOptions;
  #subscription: Subscription | undefined;

  constructor(options: EventLogOptions) {
    this.#options = options;
  }

  start(): void {
    this.#subscription = this.#options.hub.subscribe('log', (event) => this.#take(event));
  }

  /** Waits for what was published before, then hears no more. */
  async stop(): Promise<void> {
    await this.#subscription?.drain();
    this.#subscription?.end();
  }

  #take(event: NodeEvent): void {
    // Cameras log their losses themselves, since these repeat.
    if (event.kind === 'detections' || event.kind === 'camera-state') return;
    const { kind, ...detail } = event;
    const { log, store } = this.#options;
    log[levelOf(event)](detail, TEXTS[kind]);
    store.addEvent({ kind, detail: JSON.stringify(detail) }, Date.now());
  }
}

type LoggedEvent = Exclude<NodeEvent, { kind: 'detections' | 'camera-state' }>;

const TEXTS: Readonly<Record<LoggedEvent['kind'], string>> = {
  'plan-changed': 'plan changed',
  'executor-replaced': 'executor replaced',
  pressure: 'memory pressure changed',
  'front-known': 'plans of the model known',
  'plan-corrected': 'plan took more memory than it promised; corrected',
  'plan-barred': 'plan got its executor killed; not used again at this budget',
};

const WARNINGS: ReadonlySet<string> = new Set(['executor-replaced', 'plan-corrected', 'plan-barred']);

function levelOf(event: LoggedEvent): 'info' | 'warn' {
  if (event.kind === 'pressure') return event.to === 'ok' ? 'info' : 'warn';
  return WARNINGS.has(event.kind) ? 'warn' : 'info';
}
