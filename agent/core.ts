/** The parts that know nothing of transports and cameras: memory, plans, the executor, and what they tell each other. */
import type { Logger } from 'pino';
import { BudgetWatch } from './board/budget-watch.js';
import { References } from './check/references.js';
import { SelfCheck } from './check/self-check.js';
import type { Config } from './config/config-schema.js';
import { InferenceEngine } from './engine/inference-engine.js';
import { EventHub } from './events/event-hub.js';
import type { ModelStore } from './models/model-store.js';
import { defaultStorePath } from './planning/device-profiles.js';
import { Planners } from './planning/planners.js';
import { RepeatedLog } from './report/repeated-log.js';
import { Store } from './store/store.js';

export interface CoreOptions {
  readonly models: ModelStore;
  /** Folder of the database, where the config names none. */
  readonly stateFolder: string;
  readonly log: Logger;
}

/** Inferences in the queue: a few seconds of work, and a few copies of `maxPayload`. */
const MAX_WAITING = 8;

export class Core {
  /** Faults of the node that may come with each frame and request. */
  readonly faults: RepeatedLog;
  readonly hub: EventHub;
  readonly store: Store;
  readonly engine: InferenceEngine;
  readonly watch: BudgetWatch;
  readonly planners: Planners;
  readonly check: SelfCheck;

  constructor(config: Config, { models, stateFolder, log }: CoreOptions) {
    this.faults = new RepeatedLog({ write: (about, message) => log.error(about, message) });
    this.hub = new EventHub({
      onError: (subscriber, error) => log.warn({ subscriber, error: String(error) }, 'event not handled'),
    });
    this.store = new Store(config.store.path ?? defaultStorePath(stateFolder), {
      replaces: true,
      onError: ({ message: error }) => this.faults.note({ error }, 'store'),
    });
    this.engine = new InferenceEngine({
      maxWaiting: MAX_WAITING,
      onReplaced: ({ reason: cause, message: reason }) =>
        this.hub.publish({ kind: 'executor-replaced', cause, reason }),
      onUnmapped: (model, reason) => this.planners.countCopies(model, reason),
      onMeasured: (run) => this.planners.record(run),
      onLost: (loss) => this.planners.bar(loss),
      verify: (...check) => this.check.verify(...check),
    });
    this.watch = new BudgetWatch(config.memory, {
      executor: () => this.engine.memory(),
      plannerBytes: () => this.planners.searchBytes,
      onBudget: (budget) => this.planners.adapt(budget),
      onError: (error) => log.error({ error: String(error) }, 'budget not computed; the plans in force stay'),
    });
    const { store, engine, hub, watch } = this;
    this.planners = new Planners({ configs: config.models, models, store, engine, hub, log, watch });
    this.check = new SelfCheck({
      references: new References(store),
      engine,
      planners: this.planners,
      interval: config.selfCheck.interval,
      onFailed: (fault) => hub.publish({ kind: 'check-failed', ...fault }),
      onRecovered: (model) => hub.publish({ kind: 'check-recovered', model }),
    });
  }

  /** Why the node should be restarted; undefined while it can see. */
  get fault(): string | undefined {
    const { fault } = this.check.state;
    if (fault === null) return this.engine.fault;
    return `model "${fault.model}": ${fault.reason}`;
  }
}
