/** The daemon: builds its parts, starts them in order and stops them in reverse. It has no logic of its own. */
import { nodeTopics } from '../shared/wire/index.js';
import { Cameras } from './camera/cameras.js';
import type { Config } from './config/config-schema.js';
import type { CoreOptions } from './core.js';
import { Core } from './core.js';
import { findAllocator, NO_JEMALLOC } from './engine/allocator.js';
import type { FeatureEntry } from './features.js';
import { Features } from './features.js';
import { EventLog } from './report/event-log.js';
import { MqttReports } from './report/mqtt-reports.js';
import { takeSnapshot } from './report/snapshot.js';
import { Spool } from './report/spool.js';
import { BrokerFeature } from './serve/broker/broker-feature.js';
import { Inference } from './serve/infer.js';
import { MqttConnection } from './serve/mqtt/mqtt-connection.js';
import { MqttRequests } from './serve/mqtt/requests/mqtt-requests.js';
import { Housekeeping } from './store/housekeeping.js';

export interface AgentOptions extends CoreOptions {
  readonly version: string;
  /** Why the configuration is only what could be saved of a wrong one. */
  readonly configFault?: string;
}

export class Agent {
  readonly #options: AgentOptions;
  #config: Config;
  readonly #core: Core;
  readonly #connection: MqttConnection;
  readonly #features: Features;

  constructor(config: Config, options: AgentOptions) {
    const { log } = options;
    this.#config = config;
    this.#options = options;
    this.#core = new Core(config, options);
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
    const { log, version, configFault = null } = this.#options;
    const { mqtt, node, cameras: configs, health, events } = this.#config;
    const { hub, store, engine, watch, planners, check } = this.#core;
    const connection = this.#connection;
    const topics = nodeTopics(mqtt.base, node);
    const onFault = (error: unknown) => log.error({ err: error }, 'inference failed');
    const inference = new Inference({ engine, models: planners, onFault });
    const cameras = new Cameras(configs, { inference, hub, log });
    const identity = { version, node, configFault, maxPayloadBytes: mqtt.maxPayload };
    const onRefused = (topic: string, reason: string) => log.warn({ topic, reason }, 'message dropped');
    const spool = new Spool({ connection, store, onRefused });
    const snapshot = () =>
      takeSnapshot({ identity, watch, engine, planners, check, spool, cameras, hub, store });
    const { base, maxPayload: maxPayloadBytes } = mqtt;
    const finish = () => engine.finish();
    const housekeeping = new Housekeeping({ store, keepDays: events.keepDays, log });
    const isSigned = broker.isEmbedded;
    const requests = { connection, inference, topics, isSigned, base, maxPayloadBytes, finish, log };
    const reports = { connection, spool, hub, snapshot, topics, base, healthInterval: health.interval, log };
    return [
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
      { name: 'housekeeping', feature: housekeeping, isOptional: true },
    ];
  }

  async start(): Promise<void> {
    await this.#features.start();
    const { kind: allocator } = findAllocator();
    if (allocator === 'glibc') this.#options.log.warn(NO_JEMALLOC);
    const [server, models] = [this.#connection.server, this.#core.planners.names];
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
    this.#core.watch.configure(config.memory);
    log.info({ memory: config.memory }, 'configuration reloaded');
  }
}
