/** Writes the node's events to the log, and the rare ones to the store, as a feature. */
import type { Logger } from 'pino';
import type { StoreProblem } from '../../shared/wire/index.js';
import type { EventHub, Subscription } from '../events/event-hub.js';
import type { CameraStateEvent, NodeEvent, SightEvent } from '../events/node-event.js';

export interface EventLogOptions {
  readonly hub: EventHub;
  readonly log: Logger;
  readonly store: {
    /** What was wrong with the store's file at the start. */
    readonly problem?: StoreProblem | undefined;
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
    const { hub, store } = this.#options;
    this.#subscription = hub.subscribe('log', (event) => this.#take(event));
    if (store.problem !== undefined) hub.publish({ kind: 'store-replaced', problem: store.problem });
  }

  /** Waits for what was published before, then hears no more. */
  async stop(): Promise<void> {
    await this.#subscription?.drain();
    this.#subscription?.end();
  }

  #take(event: NodeEvent): void {
    // Cameras log their losses themselves, since these repeat.
    if (isSight(event) || event.kind === 'camera-state') return;
    const { kind, ...detail } = event;
    const { log, store } = this.#options;
    log[levelOf(event)](detail, TEXTS[kind]);
    store.addEvent({ kind, detail: JSON.stringify(detail) }, Date.now());
  }
}

type LoggedEvent = Exclude<NodeEvent, SightEvent | CameraStateEvent>;

const SIGHTS: ReadonlySet<NodeEvent['kind']> = new Set<SightEvent['kind']>([
  'detections',
  'object',
  'counts',
  'snapshot',
]);

function isSight(event: NodeEvent): event is SightEvent {
  return SIGHTS.has(event.kind);
}

const TEXTS: Readonly<Record<LoggedEvent['kind'], string>> = {
  'plan-changed': 'plan changed',
  'executor-replaced': 'executor replaced',
  pressure: 'memory pressure changed',
  'front-known': 'plans of the model known',
  'plan-corrected': 'plan took more memory than it promised; corrected',
  'check-failed': 'the self-check failed; not ready until one succeeds',
  'check-recovered': 'the self-check succeeds again',
  'store-replaced': "the store's file can't be used; going on with another one, or from memory",
  'plan-barred': 'plan got its executor killed; not used again at this budget',
};

const WARNINGS: ReadonlySet<string> = new Set(['executor-replaced', 'plan-corrected', 'plan-barred']);

function levelOf(event: LoggedEvent): 'info' | 'warn' | 'error' {
  if (event.kind === 'store-replaced' || event.kind === 'check-failed') return 'error';
  if (event.kind === 'pressure') return event.to === 'ok' ? 'info' : 'warn';
  return WARNINGS.has(event.kind) ? 'warn' : 'info';
}
