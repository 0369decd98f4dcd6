/**
 * Publishes the node's reports over MQTT, as a feature: what cameras see, their states and notices as they come, info
 * after each change of plan, health at a steady interval. docs/protocol.md, section 1.
 */
import type { Logger } from 'pino';
import type { CameraStateReport, NodeTopics } from '../../shared/wire/index.js';
import { cameraTopics } from '../../shared/wire/index.js';
import type { EventHub, Subscription } from '../events/event-hub.js';
import type {
  CameraStateEvent,
  CountsEvent,
  DetectionsEvent,
  NodeEvent,
  ObjectEvent,
  SightEvent,
  SnapshotEvent,
} from '../events/node-event.js';
import { describeHealth } from './health.js';
import { describeInfo } from './info.js';
import { readProcesses } from './process-usage.js';
import type { NodeSnapshot } from './snapshot.js';

interface PublishOptions {
  readonly qos?: 0 | 1;
  readonly retain?: boolean;
}

export interface ReportsOptions {
  readonly connection: {
    publish(topic: string, payload: string | Uint8Array, options?: PublishOptions): void;
    retain(topic: string, payload: string): void;
  };
  /** Sends what mustn't be lost while the broker is away. */
  readonly spool: { publish(topic: string, payload: string): void };
  readonly hub: EventHub;
  readonly snapshot: () => NodeSnapshot;
  readonly topics: NodeTopics;
  readonly base: string;
  /** Seconds between reports of health. */
  readonly healthInterval: number;
  readonly log: Logger;
}

export class MqttReports {
  readonly #options: ReportsOptions;
  #subscription: Subscription | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ReportsOptions) {
    this.#options = options;
  }

  start(): void {
    const { hub, healthInterval } = this.#options;
    this.#subscription = hub.subscribe('mqtt', (event) => this.#take(event));
    this.#timer = setInterval(() => this.#reportHealth(), healthInterval * 1000);
    this.#reportStatus();
    this.#reportHealth();
    this.#reportInfo();
  }

  /** Waits for what was published before, then says no more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#subscription?.drain();
    this.#subscription?.end();
  }

  #take(event: NodeEvent): void {
    switch (event.kind) {
      case 'detections':
        this.#publishDetections(event);
        break;
      case 'object':
        this.#publishObject(event);
        break;
      case 'counts':
        this.#retainCounts(event);
        break;
      case 'snapshot':
        this.#publishSnapshot(event);
        break;
      case 'camera-state':
        this.#retainState(event);
        break;
      default:
        this.#publishNotice(event);
    }
    if (event.kind === 'check-failed' || event.kind === 'check-recovered') this.#reportStatus();
    if (event.kind === 'plan-changed' || event.kind === 'front-known') this.#reportInfo();
  }

  #publishDetections({ kind: _, findings, ...about }: DetectionsEvent): void {
    const { spool, topics } = this.#options;
    spool.publish(topics.events, JSON.stringify({ ...about, ...findings }));
  }

  #publishNotice(event: Exclude<NodeEvent, SightEvent | CameraStateEvent>): void {
    const { spool, topics } = this.#options;
    spool.publish(topics.notices, JSON.stringify({ at: new Date().toISOString(), ...event }));
  }

  /** A node that may give wrong answers, or has no valid configuration, isn't simply online. */
  #reportStatus(): void {
    const { connection, snapshot, topics } = this.#options;
    const { check, configFault } = snapshot();
    connection.retain(topics.status, check.fault === null && configFault === null ? 'online' : 'degraded');
  }

  #publishObject({ kind: _, ...report }: ObjectEvent): void {
    const { spool, topics } = this.#options;
    spool.publish(cameraTopics(topics, report.camera).objects, JSON.stringify(report));
  }

  #retainCounts({ kind: _, camera, ...report }: CountsEvent): void {
    const { connection, topics } = this.#options;
    connection.retain(cameraTopics(topics, camera).counts, JSON.stringify(report));
  }

  /** The broker keeps it. The agent doesn't: it would hold the bytes only to say them again at a connect. */
  #publishSnapshot({ camera, jpeg }: SnapshotEvent): void {
    const { connection, topics } = this.#options;
    connection.publish(cameraTopics(topics, camera).snapshot, jpeg, { qos: 1, retain: true });
  }

  #retainState({ camera, enabled, state, reason }: CameraStateEvent): void {
    const { connection, topics } = this.#options;
    const report: CameraStateReport = { enabled, state, reason };
    connection.retain(cameraTopics(topics, camera).state, JSON.stringify(report));
  }

  #reportInfo(): void {
    const { connection, snapshot, topics, base, log } = this.#options;
    try {
      connection.retain(topics.info, JSON.stringify(describeInfo(snapshot(), { base })));
    } catch (error) {
      log.warn({ error: String(error) }, 'info not reported this time');
    }
  }

  #reportHealth(): void {
    this.#publishHealth().catch((error: unknown) =>
      this.#options.log.warn({ error: String(error) }, 'health not reported this time'),
    );
  }

  /** The node's own state is read before the first wait, since the agent may stop meanwhile. */
  async #publishHealth(): Promise<void> {
    const { connection, snapshot, topics } = this.#options;
    const state = snapshot();
    const processes = await readProcesses(state.executor.pid);
    connection.retain(topics.health, JSON.stringify(describeHealth(state, processes)));
  }
}
