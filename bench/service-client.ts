/** Client of the agent that a bench runs: its reports, its frames, and requests one after the other. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LinkMessage } from '../agent/serve/mqtt/mqtt-link.js';
import { MqttLink } from '../agent/serve/mqtt/mqtt-link.js';
import type { NodeHealth, NodeInfo } from '../shared/wire/index.js';
import { inferTopic, nodeTopics } from '../shared/wire/index.js';
import { SERVICE_NODE } from './service-agent.js';

const TOPICS = nodeTopics('mafat', SERVICE_NODE);
const REPLY_TOPIC = 'mafat/clients/bench/answers';

/** Time after which a request counts as lost, and the next one is sent. */
const ANSWER_MS = 30_000;

const POLL_MS = 20;

/** Time until the next request if one was refused. */
const REFUSED_MS = 200;

/** A frame's event, as far as the benches read it. */
export interface FrameEvent {
  readonly model: string;
  readonly latencyMs: number;
  readonly plan: string;
}

interface Answer {
  readonly error?: string;
  readonly parameters?: { readonly status?: number; readonly read_ms?: number; readonly run_ms?: number };
}

/** Of one request: from sending to the answer, and the part of it in the executor. */
export interface AnswerTimes {
  readonly tookMs: number;
  readonly executorMs: number;
}

export class ServiceClient {
  readonly #link: MqttLink;
  #info: NodeInfo | undefined;
  #health: NodeHealth | undefined;
  #onAnswer: (answer: Answer) => void = () => undefined;
  #inferences = 0;
  #refused = 0;
  #isStopped = false;

  /** @param onFrame called for each frame that was run. */
  constructor(server: string, onFrame: (event: FrameEvent) => void = () => undefined) {
    const take = ({ topic, payload }: LinkMessage) => {
      const message: unknown = JSON.parse(Buffer.from(payload).toString());
      if (topic === REPLY_TOPIC) this.#onAnswer(message as Answer);
      else if (topic === TOPICS.events) {
        this.#inferences += 1;
        onFrame(message as FrameEvent);
      } else if (topic === TOPICS.info) this.#info = message as NodeInfo;
      else this.#health = message as NodeHealth;
    };
    this.#link = new MqttLink(
      { server, clientId: 'bench', keepaliveSeconds: 30, maxPayloadBytes: 2 ** 24 },
      { onConnect: () => undefined, onOffline: () => undefined, onMessage: take },
    );
    for (const topic of [REPLY_TOPIC, TOPICS.events, TOPICS.info, TOPICS.health]) this.#link.subscribe(topic);
    this.#link.start();
  }

  /** Resolves when the agent has said what it is; `isLost` tells that it never will. */
  async connected(isLost: () => boolean): Promise<void> {
    while (this.#info === undefined && !isLost()) await sleep(POLL_MS);
  }

  /** The agent's last reports. */
  get info(): NodeInfo | undefined {
    return this.#info;
  }

  get health(): NodeHealth | undefined {
    return this.#health;
  }

  /** Frames and requests that were run. An answer that is too large to be sent (413) counts, too. */
  get inferences(): number {
    return this.#inferences;
  }

  /** Requests that were refused with another status, or lost. */
  get refused(): number {
    return this.#refused;
  }

  /** Sends requests until the client stops, each when the one before is answered. */
  async keepAsking(model: string, image: Uint8Array): Promise<void> {
    while (!this.#isStopped) await this.ask(model, image);
  }

  /** Sends one request and waits for its answer. @returns undefined if it wasn't run. */
  async ask(model: string, image: Uint8Array): Promise<AnswerTimes | undefined> {
    const data = [Buffer.from(image).toString('base64')];
    const inputs = [{ name: 'image', shape: [1], datatype: 'BYTES', data }];
    const payload = JSON.stringify({ parameters: { reply_to: REPLY_TOPIC }, inputs });
    const answered = new Promise<Answer>((resolve) => {
      this.#onAnswer = resolve;
    });
    const sentMs = performance.now();
    this.#link.publish(inferTopic('mafat', SERVICE_NODE, model), payload, { qos: 1 });
    const lost: Answer = { error: 'no answer' };
    const answer = await Promise.race([answered, sleep(ANSWER_MS, lost, { ref: false })]);
    const hasRun = answer.error === undefined || answer.parameters?.status === 413;
    if (hasRun) this.#inferences += 1;
    else {
      this.#refused += 1;
      await sleep(REFUSED_MS);
    }
    const { read_ms: readMs, run_ms: runMs } = answer.parameters ?? {};
    if (readMs === undefined || runMs === undefined) return undefined;
    return { tookMs: performance.now() - sentMs, executorMs: readMs + runMs };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#onAnswer({ error: 'stopped' });
    await this.#link.stop();
  }
}
