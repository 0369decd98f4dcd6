/**
 * Publishes the node's reports over MQTT, as a feature: detections and states of cameras as they come, info after
 * each change of plan, health at a steady interval. docs/protocol.md, section 1.
 */
import type { Logger } from 'pino';
import type { CameraStateReport, NodeTopics } from '../../shared/wire/index.js';
import { cameraTopics } from '../../shared/wire/index.js';
import type { EventHub, Subscription } from '../events/event-hub.js';
import type { CameraStateEvent, DetectionsEvent, NodeEvent } from '../events/node-event.js';
import { describeHealth } from './health.js';
import { describeInfo } from './info.js';
import { readProcesses } from './process-usage.js';
import type { NodeSnapshot } from './snapshot.js';

export interface ReportsOptions {
  readonly connection: {
    publish(topic: string, payload: string): void;
    retain(topic: string, payload: string): void;
  };
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
    if (event.kind === 'detections') this.#publishDetections(event);
    if (event.kind === 'camera-state') this.#reportCamera(event);
    if (event.kind === 'plan-changed' || event.kind === 'front-known') this.#reportInfo();
  }

  #publishDetections({ kind: _, findings, ...about }: DetectionsEvent): void {
    const { connection, topics } = this.#options;
    connection.publish(topics.events, JSON.stringify({ ...about, ...findings }));
  }

  #reportCamera({ camera, enabled, state, reason }: CameraStateEvent): void {
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
