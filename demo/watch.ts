/** Listens to the agent's messages and keeps the state of the demo. */

import { randomUUID } from 'node:crypto';
import type { LinkMessage } from '../agent/serve/mqtt/mqtt-link.js';
import { MqttLink } from '../agent/serve/mqtt/mqtt-link.js';
import type { NodeHealth, NodeInfo, PredictedMemory } from '../shared/wire/index.js';
import { nodeTopics } from '../shared/wire/index.js';
import { DEMO_NODE } from './agent-process.js';
import type { DemoState, FrameEvent } from './state.js';
import { beginDemo, takeEvent, takeHealth, takeInfo } from './state.js';

const TOPICS = nodeTopics('mafat', DEMO_NODE);

const MAX_PAYLOAD_BYTES = 2 ** 20;

export class DemoWatch {
  readonly #link: MqttLink;
  readonly #startMs = performance.now();
  #state: DemoState;

  constructor(server: string, untiled: PredictedMemory) {
    this.#state = beginDemo(untiled);
    this.#link = new MqttLink(
      {
        server,
        clientId: `mafat-demo-${randomUUID().slice(0, 8)}`,
        keepaliveSeconds: 30,
        maxPayloadBytes: MAX_PAYLOAD_BYTES,
      },
      {
        onMessage: (message) => this.#take(message),
        // The end of the agent is noticed at its process, so a lost connection needs no action.
        onConnect: () => undefined,
        onOffline: () => undefined,
      },
    );
  }

  get state(): DemoState {
    return { ...this.#state, elapsedSeconds: (performance.now() - this.#startMs) / 1000 };
  }

  start(): void {
    for (const topic of [TOPICS.info, TOPICS.health, TOPICS.events]) this.#link.subscribe(topic);
    this.#link.start();
  }

  async stop(): Promise<void> {
    await this.#link.stop();
  }

  #take({ topic, payload }: LinkMessage): void {
    const said: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    const { state } = this;
    if (topic === TOPICS.info) this.#state = takeInfo(state, said as NodeInfo);
    if (topic === TOPICS.health) this.#state = takeHealth(state, said as NodeHealth);
    if (topic === TOPICS.events) this.#state = takeEvent(state, said as FrameEvent);
  }
}
