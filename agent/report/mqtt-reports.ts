/**
 * Publishes the node's reports over MQTT, as a feature: detections as they come, info after each change of plan,
 * health at a steady interval. docs/protocol.md, section 1.
 */
import type { Logger } from 'pino';
import type { NodeTopics } from '../../shared/wire/index.js';
import type { EventHub } from '../events/event-hub.js';
import type { DetectionsEvent, NodeEvent } from '../events/node-event.js';
import { describeHealth } from './health.js';
import { describeInfo } from './info.js';
import type { NodeSnapshot } from './snapshot.js';

export interface ReportsOptions {
  readonly connection: {
    publish(topic: string, payload: string): void;
    retain(topic: string, payload: string): void;
  };
  readonly hub: EventHub;
  readonly snapshot: () => Promise<NodeSnapshot>;
  readonly topics: NodeTopics;
  readonly base: string;
  /** Seconds between reports of health. */
  readonly healthInterval: number;
  readonly log: Logger;
}

export class MqttReports {
  readonly #options: ReportsOptions;
  #end: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ReportsOptions) {
    this.#options = options;
  }

  start(): void {
    const { hub, healthInterval } = this.#options;
    this.#end = hub.subscribe('mqtt', (event) => this.#take(event));
    this.#timer = setInterval(() => this.#reportHealth(), healthInterval * 1000);
    this.#reportHealth();
    void this.#reportInfo().catch((error: unknown) => this.#warn('info', error));
  }

  /** Waits for what was published before, then says no more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#options.hub.drain();
    this.#end();
  }

  async #take(event: NodeEvent): Promise<void> {
    if (event.kind === 'detections') this.#publishDetections(event);
    if (event.kind === 'plan-changed') await this.#reportInfo();
  }

  #publishDetections({ kind: _, findings, ...about }: DetectionsEvent): void {
    const { connection, topics } = this.#options;
    connection.publish(topics.events, JSON.stringify({ ...about, ...findings }));
  }

  async #reportInfo(): Promise<void> {
    const { connection, snapshot, topics, base } = this.#options;
    connection.retain(topics.info, JSON.stringify(describeInfo(await snapshot(), { base })));
  }

  #reportHealth(): void {
    const { connection, snapshot, topics } = this.#options;
    snapshot()
      .then((state) => connection.retain(topics.health, JSON.stringify(describeHealth(state))))
      .catch((error: unknown) => this.#warn('health', error));
  }

  #warn(report: string, error: unknown): void {
    this.#options.log.warn({ error: String(error) }, `${report} not reported this time`);
  }
}
