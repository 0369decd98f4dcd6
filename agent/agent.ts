/** The daemon: builds its parts, starts them in order and stops them in reverse. It has no logic of its own. */
import type { Logger } from 'pino';
import { nodeTopics } from '../shared/wire/index.js';
import { BudgetWatch } from './board/budget-watch.js';
import { Cameras } from './camera/cameras.js';
import type { Config } from './config/config-schema.js';
import { findAllocator, NO_JEMALLOC } from './engine/allocator.js';
import { InferenceEngine } from './engine/inference-engine.js';
import { EventHub } from './events/event-hub.js';
import type { FeatureEntry } from './features.js';
import { Features } from './features.js';
import type { ModelStore } from './models/model-store.js';
import { defaultStorePath } from './planning/device-profiles.js';
import { Planners } from './planning/planners.js';
import { EventLog } from './report/event-log.js';
import { MqttReports } from './report/mqtt-reports.js';
import { takeSnapshot } from './report/snapshot.js';
import { BrokerFeature } from './serve/broker/broker-feature.js';
import { Inference } from './serve/infer.js';
import { MqttConnection } from './serve/mqtt/mqtt-connection.js';
import { MqttRequests } from './serve/mqtt/requests/mqtt-requests.js';
import { Housekeeping } from './store/housekeeping.js';
import { Store } from './store/store.js';

export interface AgentOptions {
  readonly models: ModelStore;
  /** Folder of the database, where the config names none. */
  readonly stateFolder: string;
  readonly log: Logger;
  readonly version: string;
}

/** Inferences in the queue: a few seconds of work, and a few copies of `maxPayload`. */
const MAX_WAITING = 8;

export class Agent {
  readonly #options: AgentOptions;
  #config: Config;
  readonly #hub: EventHub;
  readonly #store: Store;
  readonly #engine: InferenceEngine;
  readonly #watch: BudgetWatch;
  readonly #planners: Planners;
  readonly #connection: MqttConnection;
  readonly #features: Features;

  constructor(config: Config, options: AgentOptions) {
    const { log, models, stateFolder } = options;
    this.#config = config;
    this.#options = options;
    this.#hub = new EventHub({
      onError: (subscriber, error) => log.warn({ subscriber, error: String(error) }, 'event not handled'),
    });
    this.#store = new Store(config.store.path ?? defaultStorePath(stateFolder), {
      onError: (error) => log.error({ error: error.message }, 'store'),
    });
    this.#engine = new InferenceEngine({
      maxWaiting: MAX_WAITING,
      onReplaced: (reason) => this.#hub.publish({ kind: 'executor-replaced', reason }),
      onUnmapped: (model, reason) => this.#planners.countCopies(model, reason),
      onMeasured: (run) => this.#planners.record(run),
      onLost: (loss) => this.#planners.bar(loss),
    });
    this.#watch = new BudgetWatch(config.memory, {
      executor: () => this.#engine.memory(),
      plannerBytes: () => this.#planners.searchBytes,
      onBudget: (budget) => this.#planners.adapt(budget),
      onError: (error) => log.error({ error: String(error) }, 'budget not computed; the plans in force stay'),
    });
    this.#planners = new Planners({
      configs: config.models,
      models,
      store: this.#store,
      engine: this.#engine,
      hub: this.#hub,
      log,
      watch: this.#watch,
    });
    const broker = new BrokerFeature(config.mqtt, log);
    const topics = nodeTopics(config.mqtt.base, config.node);
    this.#connection = new MqttConnection({
      access: () => broker.access,
      clientId: config.mqtt.clientId ?? `mafat-${config.node}`,
      keepaliveSeconds: config.mqtt.keepalive,
      maxPayloadBytes: config.mqtt.maxPayload,
      statusTopic: topics.status,
      log,
    });
    this.#features = new Features(this.#list(broker), log);
  }

  /** The parts in the order of their start. Each line needs those before it. */
  #list(broker: BrokerFeature): readonly FeatureEntry[] {
    const { log, version } = this.#options;
    const { mqtt, node, cameras: configs, health, events } = this.#config;
    const [hub, store, engine, connection] = [this.#hub, this.#store, this.#engine, this.#connection];
    const [watch, planners] = [this.#watch, this.#planners];
    const topics = nodeTopics(mqtt.base, node);
    const onFault = (error: unknown) => log.error({ err: error }, 'inference failed');
    const inference = new Inference({ engine, models: planners, onFault });
    const cameras = new Cameras(configs, {
      inference,
      inputOf: (model) => planners.get(model)?.network.input,
      hub,
      log,
    });
    const identity = { version, node, maxPayloadBytes: mqtt.maxPayload };
    const snapshot = () => takeSnapshot({ identity, watch, engine, planners, cameras, hub });
    const { base, maxPayload: maxPayloadBytes } = mqtt;
    const finish = () => engine.finish();
    const housekeeping = new Housekeeping({ store, keepDays: events.keepDays, log });
    const requests = { connection, inference, cameras, topics, base, maxPayloadBytes, finish, log };
    const reports = { connection, hub, snapshot, topics, base, healthInterval: health.interval, log };
    return [
      { name: 'store', feature: store },
      { name: 'event log', feature: new EventLog({ hub, log, store }) },
      { name: 'engine', feature: engine },
      { name: 'planners', feature: planners },
      { name: 'broker', feature: broker },
      { name: 'connection', feature: connection },
      { name: 'requests', feature: new MqttRequests(requests) },
      { name: 'memory watch', feature: watch },
      { name: 'reports', feature: new MqttReports(reports), isOptional: true },
      { name: 'cameras', feature: cameras, isOptional: true },
      { name: 'housekeeping', feature: housekeeping, isOptional: true },
    ];
  }

  async start(): Promise<void> {
    await this.#features.start();
    const { kind: allocator } = findAllocator();
    if (allocator === 'glibc') this.#options.log.warn(NO_JEMALLOC);
    const [server, models] = [this.#connection.server, this.#planners.names];
    this.#options.log.info({ node: this.#config.node, server, models, allocator }, 'agent started');
  }

  /** Finishes the frame that runs, says `stopped`, and closes the database. */
  async stop(): Promise<void> {
    await this.#features.stop();
  }

  /** Takes over what may change while running: the memory section. Anything else asks for a restart. */
  reload(config: Config): void {
    const { log } = this.#options;
    const rest = ({ memory: _, ...others }: Config) => JSON.stringify(others);
    if (rest(config) !== rest(this.#config))
      log.warn('only the memory section is taken over while running; restart for the rest');
    this.#config = { ...this.#config, memory: config.memory };
    this.#watch.configure(config.memory);
    log.info({ memory: config.memory }, 'configuration reloaded');
  }
}
