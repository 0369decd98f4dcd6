/**
 * The daemon: the only wiring. Reads memory, turns it into a budget, keeps each model's plan inside it, and
 * serves cameras and MQTT requests by those plans.
 */

import { join } from 'node:path';
import cron from 'node-cron';
import pidusage from 'pidusage';
import type { Logger } from 'pino';
import type { NodeHealth, NodeInfo } from '../shared/wire/index.js';
import { modelOfInferTopic, nodeTopics, RequestError } from '../shared/wire/index.js';
import { computeBudget } from './board/budget.js';
import { MemoryMonitor } from './board/memory-monitor.js';
import type { MemoryReading } from './board/read-memory.js';
import { readMemory } from './board/read-memory.js';
import type { Camera } from './camera/camera.js';
import { CameraPump } from './camera/camera-pump.js';
import { FileCamera } from './camera/file-camera.js';
import { SyntheticCamera } from './camera/synthetic-camera.js';
import type { CameraConfig, Config } from './config/config-schema.js';
import { decodeOutputs } from './decode/decode-outputs.js';
import { InferenceEngine } from './engine/inference-engine.js';
import type { ImageSource } from './engine/wire/protocol.js';
import type { ModelStore } from './models/model-store.js';
import { readProfile } from './planning/device-profiles.js';
import { ModelRuntime } from './planning/model-runtime.js';
import { openModel } from './planning/open-model.js';
import {
  describeCamera,
  describeModelHealth,
  describeModels,
  describeProcesses,
} from './report/describe-node.js';
import { answerRequest, errorBody } from './serve/answer-request.js';
import { EmbeddedBroker } from './serve/broker/embedded-broker.js';
import { MAX_PACKET_BYTES } from './serve/broker/packet-limit.js';
import type { LinkMessage } from './serve/mqtt/mqtt-link.js';
import { MqttLink } from './serve/mqtt/mqtt-link.js';
import { Store } from './store/store.js';

export interface AgentOptions {
  readonly models: ModelStore;
  /** Folder of the database, where the config names none. */
  readonly stateFolder: string;
  readonly log: Logger;
  readonly version: string;
}

/** Requests that may wait for the executor: a few seconds of it, and a few copies of `maxPayload`. */
const MAX_WAITING = 8;

const NO_NEW_PLAN = 'no new plan; the old one stays';

const DAY_MS = 24 * 60 * 60_000;

export class Agent {
  readonly #options: AgentOptions;
  #config: Config;
  readonly #engine: InferenceEngine;
  readonly #store: Store;
  readonly #models = new Map<string, ModelRuntime>();
  #broker: EmbeddedBroker | undefined;
  #link: MqttLink | undefined;
  #monitor: MemoryMonitor | undefined;
  #pumps: readonly CameraPump[] = [];
  #jobs: readonly { stop(): unknown }[] = [];
  #health: NodeJS.Timeout | undefined;
  #budget = { bytes: 0, bound: '' };
  /** Searches for plans, the last of each model. */
  readonly #planning = new Map<ModelRuntime, Promise<void>>();
  #stopped = false;

  constructor(config: Config, options: AgentOptions) {
    this.#config = config;
    this.#options = options;
    const { log } = options;
    this.#store = new Store(config.store.path ?? join(options.stateFolder, 'agent.db'), {
      onError: (error) => log.error({ error: error.message }, 'store'),
    });
    this.#engine = new InferenceEngine({
      maxWaiting: MAX_WAITING,
      onReplaced: (reason) => {
        log.warn({ reason }, 'executor replaced');
        this.#store.addEvent({ kind: 'executor-replaced', detail: reason }, Date.now());
      },
      onUnmapped: (model, reason) => {
        log.warn({ model, reason }, 'weights are copied to the heap; planning anew with them');
        this.#models
          .get(model)
          ?.countCopies()
          .catch((error: unknown) => log.error({ model, error: String(error) }, NO_NEW_PLAN));
      },
      onMeasured: (run) => this.#models.get(run.model)?.record(run, Date.now()),
    });
  }

  /** Where clients connect to; the embedded broker's address if it is that. */
  server = '';

  async start(): Promise<void> {
    const { log } = this.#options;
    this.#store.start();
    await this.#engine.start();
    await this.#openModels();
    await this.#planFirst();
    await this.#startServing();
    this.#startMonitor();
    this.#pumps = this.#config.cameras.map((camera) => this.#startCamera(camera));
    this.#startJobs();
    this.#publishInfo();
    log.info(
      { node: this.#config.node, server: this.server, models: [...this.#models.keys()] },
      'agent started',
    );
  }

  /** Takes over what may change while running: the memory section. Anything else asks for a restart. */
  reload(config: Config): void {
    const rest = ({ memory: _, ...others }: Config) => JSON.stringify(others);
    if (rest(config) !== rest(this.#config)) {
      this.#options.log.warn('only the memory section is taken over while running; restart for the rest');
    }
    this.#config = { ...this.#config, memory: config.memory };
    // While it starts or stops there is nothing to adapt.
    if (this.#monitor !== undefined) this.#startMonitor();
    this.#options.log.info({ memory: config.memory }, 'configuration reloaded');
  }

  /** Finishes the frame that runs, says so, and closes the database; a step that fails doesn't keep the others. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const model of this.#models.values()) model.stop();
    this.#monitor?.stop();
    this.#monitor = undefined;
    clearInterval(this.#health);
    for (const job of this.#jobs) job.stop();
    const steps = [
      () => Promise.all(this.#pumps.map((pump) => pump.stop())),
      () => this.#engine.stop(),
      () => this.#link?.stop({ topic: this.#topics.status, payload: 'stopped' }),
      () => this.#broker?.stop(),
      async () => this.#store.stop(),
    ];
    for (const step of steps) {
      await step()?.catch((error: unknown) => this.#options.log.error({ error: String(error) }, 'stopping'));
    }
  }

  get #topics() {
    return nodeTopics(this.#config.mqtt.base, this.#config.node);
  }

  async #openModels(): Promise<void> {
    const { log } = this.#options;
    const profile = readProfile(this.#store);
    if (profile === undefined)
      log.info('plans are chosen by the speed of another machine; see mafat calibrate');
    for (const config of this.#config.models) {
      const executor = async () => this.#engine.executor();
      const network = await openModel(this.#options.models, config.name, { executor });
      const isAlone = this.#config.models.length === 1;
      const options = { store: this.#store, isAlone, ...(profile === undefined ? {} : { profile }) };
      const runtime = new ModelRuntime(network, config, options);
      this.#models.set(config.name, runtime);
    }
  }

  async #startServing(): Promise<void> {
    const { base, server, listen, clientId, username, password, keepalive, maxPayload } = this.#config.mqtt;
    const { log } = this.#options;
    const login = {
      ...(username === null ? {} : { username }),
      ...(password === null ? {} : { password }),
    };
    if (server === 'embedded') {
      this.#broker = new EmbeddedBroker({
        ...listen,
        ...(username === null || password === null ? {} : { credentials: { username, password } }),
        base,
        maxPacketBytes: Math.max(MAX_PACKET_BYTES, 2 * maxPayload),
        onRefused: (address, reason) => log.warn({ address, reason }, 'client refused'),
      });
    }
    const access = await this.#broker?.start();
    this.server = access?.url ?? server;
    const { url: _, ...own } = access ?? { url: server };
    const link = new MqttLink(
      {
        server: this.server,
        clientId: clientId ?? `mafat-${this.#config.node}`,
        ...login,
        ...own,
        keepaliveSeconds: keepalive,
        maxPayloadBytes: maxPayload,
        will: { topic: this.#topics.status, payload: 'offline' },
      },
      {
        onConnect: () => log.info({ server: this.server }, 'connected to the broker'),
        onRefused: (topic, reason) => log.warn({ topic, reason }, 'not said, or not heard'),
        onOffline: (reason, retryMs) => log.warn({ reason, retryMs, server: this.server }, 'no broker'),
        onMessage: (message) => {
          this.#handle(message).catch((error: unknown) =>
            log.warn({ topic: message.topic, error: String(error) }, 'request dropped'),
          );
        },
      },
    );
    link.retain(this.#topics.status, 'online');
    link.subscribe(this.#topics.infer);
    link.start();
    this.#link = link;
  }

  async #handle({ topic, payload, responseTopic, correlationData }: LinkMessage): Promise<void> {
    const { base, maxPayload } = this.#config.mqtt;
    const model = modelOfInferTopic(base, this.#config.node, topic);
    if (model === undefined) return;
    const served = { engine: this.#engine, models: this.#models, maxPayloadBytes: maxPayload, base };
    const request = { model, payload, ...(responseTopic === undefined ? {} : { responseTopic }) };
    const answer = await answerRequest(request, served);
    const options = { qos: 1, ...(correlationData === undefined ? {} : { correlationData }) } as const;
    try {
      this.#link?.publish(answer.topic, JSON.stringify(answer.body), options);
    } catch (error) {
      const tooLarge = new RequestError(
        'answer',
        String(error instanceof Error ? error.message : error),
        413,
      );
      this.#link?.publish(answer.topic, JSON.stringify(errorBody(tooLarge, answer.body.id)), options);
    }
  }

  #startMonitor(): void {
    this.#monitor?.stop();
    const { floor, minInterval, maxInterval } = this.#config.memory;
    const { log } = this.#options;
    this.#monitor = new MemoryMonitor({
      read: readMemory,
      onSample: (reading) => {
        try {
          this.#adapt(reading);
        } catch (error) {
          log.error({ error: String(error) }, NO_NEW_PLAN);
        }
      },
      floorRatio: floor,
      minIntervalSeconds: minInterval,
      maxIntervalSeconds: maxInterval,
    });
    this.#monitor.start();
  }

  /** Read -> decide -> act: a budget from the reading, and a new plan for each model that needs one. */
  #adapt(reading: MemoryReading): void {
    const { budget, floor } = this.#config.memory;
    const { residentBytes, idleBytes } = this.#engine.memory();
    const options = { floorRatio: floor, executorBytes: residentBytes, idleBytes };
    this.#budget = computeBudget(reading, budget === 'auto' ? options : { ...options, fixedBytes: budget });
    for (const model of this.#models.values()) void this.#adaptModel(model);
  }

  /** Requests and frames that come at once find plans. */
  async #planFirst(): Promise<void> {
    this.#adapt(readMemory());
    await Promise.all(this.#planning.values());
    for (const model of this.#models.values()) {
      model.start().catch((error: unknown) => this.#reportPlanning(model, error));
    }
  }

  /** A search that ends because the agent does is no fault. */
  #reportPlanning(model: ModelRuntime, error: unknown): void {
    if (!this.#stopped)
      this.#options.log.error({ model: model.config.name, error: String(error) }, NO_NEW_PLAN);
  }

  async #adaptModel(model: ModelRuntime): Promise<void> {
    const targetBytes = model.look(this.#budget.bytes, performance.now());
    if (targetBytes === undefined) return;
    const planning = this.#planFor(model, targetBytes, Date.now()).catch((error: unknown) =>
      this.#reportPlanning(model, error),
    );
    this.#planning.set(model, planning);
    await planning;
  }

  async #planFor(model: ModelRuntime, targetBytes: number, wallMs: number): Promise<void> {
    const change = await model.planFor(targetBytes, wallMs);
    if (change === undefined || this.#stopped) return;
    this.#engine.setPlan(model.engineModel, change.plan);
    const { notation, settings, predicted } = change.plan;
    const detail = {
      model: model.config.name,
      notation,
      settings,
      origin: change.origin,
      budget: this.#budget,
      predicted,
    };
    this.#options.log.info(detail, 'plan changed');
    this.#store.addEvent({ kind: 'plan-changed', detail: JSON.stringify(detail) }, wallMs);
    this.#publishInfo();
  }

  #startCamera(config: CameraConfig): CameraPump {
    const camera: Camera = config.kind === 'synthetic' ? new SyntheticCamera(config) : new FileCamera(config);
    const pump = new CameraPump(camera, {
      process: (frame) => this.#processFrame(config, frame),
      onError: (error) =>
        this.#options.log.warn({ camera: config.name, error: String(error) }, 'frame failed'),
    });
    pump.start();
    return pump;
  }

  async #processFrame({ name, model }: CameraConfig, frame: ImageSource): Promise<boolean> {
    const runtime = this.#models.get(model);
    if (runtime?.plan === undefined || runtime.level === 2) return false;
    const run = await this.#engine.infer(model, { source: frame, outputs: 'values' });
    const { manifest, input } = runtime.network;
    const { threshold } = runtime.config;
    const found = decodeOutputs(run, { manifest, input, ...(threshold === null ? {} : { threshold }) });
    const event = {
      camera: name,
      model,
      at: new Date().toISOString(),
      latencyMs: run.latencyMs,
      plan: run.plan.notation,
      ...found,
    };
    this.#link?.publish(this.#topics.events, JSON.stringify(event));
    return true;
  }

  #startJobs(): void {
    const thin = cron.schedule('17 3 * * *', () => {
      const rows = this.#store.dropBefore(Date.now() - this.#config.events.keepDays * DAY_MS);
      this.#options.log.info({ rows }, 'old measurements and events dropped');
    });
    this.#jobs = [thin];
    const publish = () => {
      this.#publishHealth().catch((error: unknown) =>
        this.#options.log.warn({ error: String(error) }, 'no health this time'),
      );
    };
    this.#health = setInterval(publish, this.#config.health.interval * 1000);
    publish();
  }

  #publishInfo(): void {
    const info: NodeInfo = {
      version: this.#options.version,
      node: this.#config.node,
      maxPayloadBytes: this.#config.mqtt.maxPayload,
      models: describeModels(this.#models.values(), this.#config),
    };
    this.#link?.retain(this.#topics.info, JSON.stringify(info));
  }

  /** Everything of ours is read before the first wait: the agent may stop meanwhile. */
  async #publishHealth(): Promise<void> {
    const executor = this.#engine.executor().pid;
    const health = {
      at: new Date().toISOString(),
      budget: this.#budget,
      executor: this.#engine.memory(),
      models: [...this.#models.values()].map(describeModelHealth),
      cameras: this.#pumps.map(describeCamera),
    };
    // A process that has just ended, or a system without its tools, costs the table, not the report.
    const usage = await pidusage([process.pid, executor]).catch(() => ({}));
    const report: NodeHealth = { ...health, processes: describeProcesses(usage, { executor }) };
    this.#link?.retain(this.#topics.health, JSON.stringify(report));
  }
}
