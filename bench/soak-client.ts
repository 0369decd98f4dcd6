/**
 * A client of the soak: sends requests for as long as it runs, and follows each one to its end.
 *
 * A request is sent when broker and agent are there, and again if the broker was away, if the line broke before the answer
 * came, or if the answer says when to try again. The number of an attempt stands in its id, so an answer to an attempt that
 * was given up is known. A request is lost if an attempt gets another error of the node, or no answer while the line held.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LinkMessage } from '../agent/serve/mqtt/mqtt-link.js';
import { MqttLink } from '../agent/serve/mqtt/mqtt-link.js';
import { inferTopic, nodeTopics } from '../shared/wire/index.js';
import { SERVICE_NODE } from './service-agent.js';

const { status: STATUS } = nodeTopics('mafat', SERVICE_NODE);

/** Time without an answer, while the line holds, after which an attempt counts as lost. */
const ANSWER_MS = 60_000;

/** Time for broker, agent and client to find each other again. */
const ONLINE_MS = 120_000;

const POLL_MS = 50;

/** Statuses of an answer that asks for another attempt. */
const BUSY: readonly unknown[] = [429, 503];

/** Largest difference between confidences of two answers to one image. */
const TOLERANCE = 1e-3;

interface Answer {
  readonly id?: string;
  readonly error?: string;
  readonly parameters?: { readonly status?: number; readonly retry_after?: number };
  readonly outputs?: readonly { readonly name: string; readonly data: readonly unknown[] }[];
}

export interface RequestCounts {
  asked: number;
  answered: number;
  /** Answers with 429 or 503, and those of them without a time to try again. */
  refused: number;
  refusedWithoutTime: number;
  /** Attempts that the broker never had. */
  away: number;
  /** Attempts whose line broke before the answer came. The request was asked again. */
  cut: number;
  /** Those of them whose answer came all the same. */
  cutAnswered: number;
  /** No answer while the line held, or an error of the node. */
  lost: number;
  /** Errors that blame the request, and answers that differ from the first one. */
  wrong: number;
}

export function noRequests(): RequestCounts {
  return {
    asked: 0,
    answered: 0,
    refused: 0,
    refusedWithoutTime: 0,
    away: 0,
    cut: 0,
    cutAnswered: 0,
    lost: 0,
    wrong: 0,
  };
}

export interface SoakClientOptions {
  readonly server: string;
  readonly clientId: string;
  readonly model: string;
  readonly image: Uint8Array;
  /** Requests that are sent at once. */
  readonly atOnce: number;
  /** Longest pause after they are answered. */
  readonly pauseMs: number;
  /** Random number from 0 to 1. */
  readonly random: () => number;
  /** Shared by all clients. */
  readonly counts: RequestCounts;
  /** Told what was lost or wrong. */
  readonly onFault: (text: string) => void;
}

type Outcome =
  | { readonly kind: 'away' | 'cut' | 'silent' }
  | { readonly kind: 'answer'; readonly answer: Answer };

export class SoakClient {
  readonly #options: SoakClientOptions;
  readonly #link: MqttLink;
  readonly #replyTo: string;
  readonly #inputs: string;
  readonly #waiting = new Map<string, (outcome: Outcome) => void>();
  #isAgentOnline = false;
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();
  #first: Answer | undefined;
  #number = 0;

  constructor(options: SoakClientOptions) {
    const { server, clientId, image } = options;
    this.#options = options;
    this.#replyTo = `mafat/clients/${clientId}/answers`;
    const data = [Buffer.from(image).toString('base64')];
    this.#inputs = JSON.stringify([{ name: 'image', shape: [1], datatype: 'BYTES', data }]);
    this.#link = new MqttLink(
      { server, clientId, keepaliveSeconds: 30, maxPayloadBytes: 2 ** 24 },
      {
        // The broker keeps nothing over a restart, so the agent says anew that it is online.
        onConnect: () => undefined,
        onOffline: () => this.#cutOff(),
        onMessage: (message) => this.#take(message),
      },
    );
  }

  start(): void {
    for (const topic of [this.#replyTo, STATUS]) this.#link.subscribe(topic);
    this.#link.start();
    this.#running = this.#keepAsking();
  }

  /** Waits for the answers that are due. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await this.#link.stop();
  }

  async #keepAsking(): Promise<void> {
    const { atOnce, pauseMs, random } = this.#options;
    while (!this.#isStopped) {
      await Promise.all(Array.from({ length: atOnce }, () => this.#request()));
      await sleep(random() * pauseMs);
    }
  }

  async #request(): Promise<void> {
    this.#number += 1;
    const number = this.#number;
    let isDone = false;
    for (let attempt = 1; !isDone; attempt += 1) {
      const isOnline = await this.#agentOnline(() => this.#isStopped && attempt === 1);
      if (!isOnline && attempt === 1) return;
      if (attempt === 1) this.#options.counts.asked += 1;
      const outcome: Outcome = isOnline ? await this.#attempt(`${number}.${attempt}`) : { kind: 'silent' };
      isDone = await this.#settle(outcome, number);
    }
  }

  /** Waits until the agent can be asked. @returns false if that takes too long, or isn't wanted any more. */
  async #agentOnline(isOver: () => boolean): Promise<boolean> {
    const untilMs = performance.now() + ONLINE_MS;
    while (!isOver() && !(this.#link.connected && this.#isAgentOnline)) {
      if (performance.now() > untilMs) return false;
      await sleep(POLL_MS);
    }
    return !isOver();
  }

  async #attempt(id: string): Promise<Outcome> {
    const { model } = this.#options;
    const parameters = JSON.stringify({ reply_to: this.#replyTo });
    const payload = `{"id":"${id}","parameters":${parameters},"inputs":${this.#inputs}}`;
    const ended = new Promise<Outcome>((resolve) => this.#waiting.set(id, resolve));
    const hasBroker = await this.#link.deliver(inferTopic('mafat', SERVICE_NODE, model), payload);
    const silence = new AbortController();
    const { signal } = silence;
    const silent = sleep(ANSWER_MS, { kind: 'silent' } as const, { signal }).catch(() => ended);
    const outcome: Outcome = hasBroker ? await Promise.race([ended, silent]) : { kind: 'away' };
    silence.abort();
    this.#waiting.delete(id);
    return outcome;
  }

  /** Counts an outcome. @returns whether the request is done with. */
  async #settle(outcome: Outcome, number: number): Promise<boolean> {
    const { counts, clientId, onFault } = this.#options;
    if (outcome.kind === 'answer') return this.#judge(outcome.answer);
    if (outcome.kind === 'silent') {
      counts.lost += 1;
      onFault(`request ${number} of ${clientId}: no answer`);
      return true;
    }
    counts[outcome.kind] += 1;
    return false;
  }

  async #judge(answer: Answer): Promise<boolean> {
    const { counts, clientId, onFault } = this.#options;
    const { status = 0, retry_after: afterS } = answer.parameters ?? {};
    if (answer.error !== undefined && BUSY.includes(status)) {
      counts.refused += 1;
      if (afterS === undefined) counts.refusedWithoutTime += 1;
      await sleep(1000 * (afterS ?? 1));
      return false;
    }
    this.#first ??= answer.error === undefined ? answer : undefined;
    if (answer.error === undefined && isSame(answer, this.#first)) counts.answered += 1;
    else {
      counts[status >= 500 ? 'lost' : 'wrong'] += 1;
      const text = answer.error ?? `answer differs: ${JSON.stringify(answer.outputs)}`;
      onFault(`request ${answer.id} of ${clientId}: ${status} ${text}`);
    }
    return true;
  }

  #cutOff(): void {
    this.#isAgentOnline = false;
    for (const settle of this.#waiting.values()) settle({ kind: 'cut' });
  }

  #take({ topic, payload }: LinkMessage): void {
    const text = Buffer.from(payload).toString();
    if (topic === STATUS) {
      this.#isAgentOnline = text === 'online';
      return;
    }
    const answer = JSON.parse(text) as Answer;
    const settle = this.#waiting.get(answer.id ?? '');
    if (settle === undefined) this.#options.counts.cutAnswered += 1;
    else settle({ kind: 'answer', answer });
  }
}

/** The first finding counts, as those after it may be in another order where confidences are equal. */
function isSame(answer: Answer, first: Answer | undefined): boolean {
  const [one, other] = [answer, first].map((of) => {
    const value = (name: string) => of?.outputs?.find((output) => output.name === name)?.data[0];
    return { kind: value('classes'), confidence: Number(value('scores')) };
  });
  if (one === undefined || other === undefined) return false;
  return one.kind === other.kind && Math.abs(one.confidence - other.confidence) <= TOLERANCE;
}
