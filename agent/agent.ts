/**
 * The daemon: the only wiring. Reads memory, turns it into a budget, keeps each model's plan inside it, and
 * serves cameras and MQTT requests by those plans.
 */
import { join } from 'node:path';
import cron from 'node-cron';
import pidusage from 'pidusage';
import type { Logger } from 'pino';
import { inferTopic, isReplyTopic, modelOfInferTopic, nodeTopics } from '../shared/index.js';
import type { Camera } from './camera/camera.js';
import { CameraPump } from './camera/camera-pump.js';
import { FileCamera } from './camera/file-camera.js';
import { SyntheticCamera } from './camera/synthetic-camera.js';
import type { CameraConfig, Config } from './config/config-schema.js';
import { decodeOutputs } from './decode/decode-outputs.js';
import { InferenceEngine } from './engine/inference-engine.js';
import type { ImageSource } from './engine/protocol.js';
import { computeBudget } from './memory/budget.js';
import { MemoryMonitor } from './memory/memory-monitor.js';
import type { MemoryReading } from './memory/read-memory.js';
import { readMemory } from './memory/read-memory.js';
import { ModelRuntime } from './model-runtime.js';
import type { ModelStore } from './models/model-store.js';
import { openModel } from './open-model.js';
import { answerRequest } from './serve/answer-request.js';
import { EmbeddedBroker } from './serve/embedded-broker.js';
import type { LinkMessage } from './serve/mqtt-link.js';
import { MqttLink } from './serve/mqtt-link.js';
import { Store } from './store/store.js';

export interface AgentOptions {
  readonly models: ModelStore;
  /** Folder of the database, where the config names none. */
  readonly stateFolder: string;
  readonly log: Logger;
  readonly version: string;
}

/** Requests that may wait for the executor. */
const MAX_WAITING = 16;

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

  constructor(config: Config, options: AgentOptions) {
    this.#config = config;
    this.#options = options;
    const { log } = options;
    this.#store = new Store(config.store.path ?? join(options.stateFolder, 'agent.db'));
    this.#engine = new InferenceEngine({
      maxWaiting: MAX_WAITING,
      onReplaced: (reason) => {
        log.warn({ reason }, 'executor replaced');
        this.#store.addEvent({ kind: 'executor-replaced', detail: reason }, Date.now());
      },
    });
  }

  /** Where clients connect to; the embedded broker's address if it is that. */
  server = '';

  async start(): Promise<void> {
    const { log } = this.#options;
    this.#store.start();
    await this.#engine.start();
    await this.#openModels();
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
    this.#startMonitor();
    this.#options.log.info({ memory: config.memory }, 'configuration reloaded');
  }

  /** Finishes the frame that runs, says so, and closes the database. May be called again. */
  async stop(): Promise<void> {
    this.#monitor?.stop();
    clearInterval(this.#health);
    for (const job of this.#jobs) job.stop();
    await Promise.all(this.#pumps.map((pump) => pump.stop()));
    await this.#engine.stop();
    await this.#link?.stop({ topic: this.#topics.status, payload: 'stopped' });
    await this.#broker?.stop();
    this.#store.stop();
  }

  get #topics() {
    return nodeTopics(this.#config.mqtt.base, this.#config.node);
  }

  async #openModels(): Promise<void> {
    for (const config of this.#config.models) {
      const executor = async () => this.#engine.executor();
      const network = await openModel(this.#options.models, config.name, { executor });
      this.#models.set(config.name, new ModelRuntime(network, config, this.#store));
    }
  }

  async #startServing(): Promise<void> {
    const { base, server, listen, clientId, username, password, keepalive, maxPayload } = this.#config.mqtt;
    if (server === 'embedded') this.#broker = new EmbeddedBroker({ ...listen, base });
    this.server = (await this.#broker?.start()) ?? server;
    const { log } = this.#options;
    const link = new MqttLink(
      {
        server: this.server,
        clientId: clientId ?? `mafat-${this.#config.node}`,
        ...(username === null ? {} : { username }),
        ...(password === null ? {} : { password }),
        keepaliveSeconds: keepalive,
        maxPayloadBytes: maxPayload,
        will: { topic: this.#topics.status, payload: 'offline' },
      },
      {
        onConnect: () => log.info({ server: this.server }, 'connected to the broker'),
        onOffline: (reason, retryMs) => log.warn({ reason, retryMs, server: this.server }, 'no broker'),
        onMessage: (message) => void this.#handle(message),
      },
    );
    link.retain(this.#topics.status, 'online');
    link.subscribe(this.#topics.infer);
    link.start();
    this.#link = link;
  }

  async #handle(message: LinkMessage): Promise<void> {
    const { base, maxPayload } = this.#config.mqtt;
    const { log } = this.#options;
    const model = modelOfInferTopic(base, this.#config.node, message.topic);
    if (model === undefined) return;
    const served = { engine: this.#engine, models: this.#models, maxPayloadBytes: maxPayload };
    const { replyTo, body } = await answerRequest({ model, payload: message.payload }, served);
    const target = message.responseTopic ?? replyTo;
    if (target === undefined || !isReplyTopic(base, target)) {
      log.warn(
        { target, expected: `${base}/clients/<client>/...` },
        'request dropped: no place to answer to',
      );
      return;
    }
    const correlation =
      message.correlationData === undefined ? {} : { correlationData: message.correlationData };
    try {
      this.#link?.publish(target, JSON.stringify(body), { qos: 1, ...correlation });
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#link?.publish(target, JSON.stringify({ error: text, parameters: { status: 413 } }), {
        qos: 1,
        ...correlation,
      });
    }
  }

  #startMonitor(): void {
    this.#monitor?.stop();
    const { floor, minInterval, maxInterval } = this.#config.memory;
    this.#monitor = new MemoryMonitor({
      read: readMemory,
      onSample: (reading) => this.#adapt(reading),
      floorRatio: floor,
      minIntervalSeconds: minInterval,
      maxIntervalSeconds: maxInterval,
    });
    this.#monitor.start();
  }

  /** Read -> decide -> act: a budget from the reading, and a new plan for each model that needs one. */
  #adapt(reading: MemoryReading): void {
    const { budget, floor } = this.#config.memory;
    const { privateBytes, idleBytes } = this.#engine.memory();
    const options = { floorRatio: floor, executorBytes: privateBytes, idleBytes };
    this.#budget = computeBudget(reading, budget === 'auto' ? options : { ...options, fixedBytes: budget });
    const now = { steadyMs: performance.now(), wallMs: Date.now() };
    for (const model of this.#models.values()) {
      const change = model.update(this.#budget.bytes, now);
      if (change === undefined) continue;
      this.#engine.setPlan(model.engineModel, change.plan);
      const { notation, predicted } = change.plan;
      const detail = {
        model: model.config.name,
        notation,
        origin: change.origin,
        budget: this.#budget,
        predicted,
      };
      this.#options.log.info(detail, 'plan changed');
      this.#store.addEvent({ kind: 'plan-changed', detail: JSON.stringify(detail) }, now.wallMs);
      this.#publishInfo();
    }
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
    if (runtime === undefined || runtime.level === 2) return false;
    const run = await this.#engine.infer(model, frame, 'values');
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
    const { base } = this.#config.mqtt;
    const models = [...this.#models.values()].map(({ config, network, plan, smallestBytes }) => ({
      name: config.name,
      inferTopic: inferTopic(base, this.#config.node, config.name),
      input: { name: network.input.name, width: network.input.width, height: network.input.height },
      plan: plan === undefined ? null : { notation: plan.notation, predicted: plan.predicted },
      smallestBytes,
    }));
    const info = {
      version: this.#options.version,
      node: this.#config.node,
      maxPayloadBytes: this.#config.mqtt.maxPayload,
      models,
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
      models: [...this.#models.values()].map(({ config, level, plan }) => ({
        name: config.name,
        level,
        plan: plan?.notation ?? null,
      })),
      cameras: this.#pumps.map(({ camera, counts }) => ({ name: camera.name, ...counts })),
    };
    const usage = await pidusage([process.pid, executor]);
    const processes = Object.values(usage).map(({ pid, cpu, memory }) => ({
      pid,
      name: pid === executor ? 'executor' : 'agent',
      cpuPercent: cpu,
      rssBytes: memory,
    }));
    this.#link?.retain(this.#topics.health, JSON.stringify({ ...health, processes }));
  }
}
