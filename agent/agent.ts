/** The daemon: builds its parts, starts them in order and stops them in reverse. It has no logic of its own. */
import { nodeTopics } from '../shared/wire/index.js';
import type { ServiceNotifier } from './board/service-notifier.js';
import { Cameras } from './camera/cameras.js';
import type { Config } from './config/config-schema.js';
import type { CoreOptions } from './core.js';
import { Core } from './core.js';
import { createConnection } from './create-connection.js';
import { findAllocator, NO_JEMALLOC } from './engine/allocator.js';
import type { FeatureEntry } from './features.js';
import { Features } from './features.js';
import { EventLog } from './report/event-log.js';
import { MqttReports } from './report/mqtt-reports.js';
import { ServiceState } from './report/service-state.js';
import { takeSnapshot } from './report/snapshot.js';
import { Spool } from './report/spool.js';
import { BrokerFeature } from './serve/broker/broker-feature.js';
import { Inference } from './serve/infer.js';
import type { MqttConnection } from './serve/mqtt/mqtt-connection.js';
import { MqttRequests } from './serve/mqtt/requests/mqtt-requests.js';
import { Housekeeping } from './store/housekeeping.js';
import { takeOver } from './take-over.js';

export interface AgentOptions extends CoreOptions {
  readonly version: string;
  readonly notifier: ServiceNotifier;
  /** Why the configuration is only what could be saved of a wrong one. */
  readonly configFault?: string;
}

export class Agent {
  readonly #options: AgentOptions;
  #config: Config;
  readonly #core: Core;
  readonly #inference: Inference;
  readonly #cameras: Cameras;
  readonly #housekeeping: Housekeeping;
  readonly #connection: MqttConnection;
  readonly #features: Features;

  constructor(config: Config, options: AgentOptions) {
    const { log } = options;
    this.#config = config;
    this.#options = options;
    this.#core = new Core(config, options);
    const { store, hub, engine, planners, faults } = this.#core;
    const onFault = (error: unknown) => faults.note({ error: stackOf(error) }, 'inference failed');
    this.#inference = new Inference({ engine, models: planners, onFault });
    const inputOf = (model: string) => planners.get(model)?.network.input;
    this.#cameras = new Cameras(config.cameras, { inference: this.#inference, engine, inputOf, hub, log });
    this.#housekeeping = new Housekeeping({ store, keepDays: config.events.keepDays, log });
    const broker = new BrokerFeature(config.mqtt, log);
    this.#connection = createConnection(config, { broker, log });
    this.#features = new Features(this.#list(broker), log);
  }

  /** The parts in the order of their start. Each line needs those before it. */
  #list(broker: BrokerFeature): readonly FeatureEntry[] {
    const { log, version, notifier, configFault = null } = this.#options;
    const { mqtt, node, health } = this.#config;
    const core = this.#core;
    const { hub, store, engine, watch, planners, check, faults } = core;
    const [connection, inference, cameras] = [this.#connection, this.#inference, this.#cameras];
    const topics = nodeTopics(mqtt.base, node);
    const identity = { version, node, configFault, maxPayloadBytes: mqtt.maxPayload };
    const onRefused = (topic: string, reason: string) => faults.note({ topic, reason }, 'message dropped');
    const spool = new Spool({ connection, store, onRefused });
    const snapshot = () =>
      takeSnapshot({ identity, watch, engine, planners, check, spool, cameras, hub, store });
    const { base, maxPayload: maxPayloadBytes } = mqtt;
    const finish = () => engine.finish();
    const isSigned = broker.isEmbedded;
    const requests = { connection, inference, cameras, topics, isSigned, base, maxPayloadBytes, finish, log };
    const reports = { connection, spool, hub, snapshot, topics, base, healthInterval: health.interval, log };
    const state = new ServiceState({ notifier, snapshot, fault: () => core.fault, log });
    return [
      { name: 'time to start', feature: state.extension, isOptional: true },
      { name: 'store', feature: store },
      { name: 'event log', feature: new EventLog({ hub, log, store }) },
      { name: 'engine', feature: engine },
      { name: 'planners', feature: planners },
      { name: 'broker', feature: broker },
      { name: 'connection', feature: connection },
      { name: 'spool', feature: spool },
      { name: 'requests', feature: new MqttRequests(requests) },
      { name: 'memory watch', feature: watch },
      { name: 'self-check', feature: check },
      { name: 'reports', feature: new MqttReports(reports), isOptional: true },
      { name: 'cameras', feature: cameras, isOptional: true },
      { name: 'housekeeping', feature: this.#housekeeping, isOptional: true },
      { name: 'service state', feature: state, isOptional: true },
    ];
  }

  async start(): Promise<void> {
    if (!(await this.#features.start())) return;
    const { kind: allocator } = findAllocator();
    if (allocator === 'glibc') this.#options.log.warn(NO_JEMALLOC);
    const [server, models] = [this.#connection.server, this.#core.planners.names];
    this.#options.log.info({ node: this.#config.node, server, models, allocator }, 'agent started');
  }

  /** Finishes the frame that runs, says `stopped`, and closes the database. */
  async stop(): Promise<void> {
    await this.#features.stop();
    this.#core.faults.stop();
  }

  /** Refuses all work from now on, so that a child that is killed isn't replaced. */
  refuse(): void {
    void this.#core.engine.finish();
  }

  /** Takes over what may change while running. Anything else asks for a restart. */
  async reload(config: Config): Promise<void> {
    const { log } = this.#options;
    const { watch, planners } = this.#core;
    const [current, cameras, housekeeping] = [this.#config, this.#cameras, this.#housekeeping];
    this.#config = await takeOver(config, { current, watch, planners, cameras, housekeeping, log });
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
