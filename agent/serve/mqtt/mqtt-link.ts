/**
 * The agent's link to its broker for as long as it runs: one line after another, by MQTT 5 if the broker speaks it,
 * else by 3.1.1.
 *
 * - It waits for a broker that is absent and never gives up; retry-policy.ts says when it tries again.
 * - Retained messages are published again on every connect, since a broker may have lost them. Other messages are
 *   published once at most. Nothing is queued without a line, and messages in flight end with their line.
 * - Every publish is checked against the limit that the broker announces. MQTT 3.1.1 has no announcement: a packet
 *   that is too large costs the line. A retained one would cost it on every connect, so these must be small.
 */
import type { LineOptions, LinkMessage, Publish, Retained } from './mqtt-line.js';
import { MqttLine } from './mqtt-line.js';
import type { LineEnd } from './retry-policy.js';
import { RetryPolicy } from './retry-policy.js';

export type { LineOptions as LinkOptions, LinkMessage };

export interface LinkEvents {
  readonly onMessage: (message: LinkMessage) => void;
  readonly onConnect: () => void;
  /** Called once for each loss or failed attempt, with the reason and the time until the next attempt. */
  readonly onOffline: (reason: string, retryMs: number) => void;
  /**
   * Called when something fails while the line holds: a retained message that the broker doesn't take, a
   * request whose correlation data is too long, a subscription or QoS 1 publish that the broker refused.
   */
  readonly onRefused?: (topic: string, reason: string) => void;
}

export interface PublishOptions {
  readonly qos?: 0 | 1;
  /** The broker keeps it. The link doesn't repeat it at a connect, as it does what `retain` was given. */
  readonly retain?: boolean;
  /** Correlation data of the request; sent only by MQTT 5. */
  readonly correlationData?: Uint8Array;
}

/** Most correlation data that is accepted: it is echoed with the answer, and MQTT would allow 64 KB. */
const MAX_CORRELATION_BYTES = 1024;

/** Framing of a PUBLISH: fixed header 5, length of the topic 2, packet id 2, headers of the properties 6. */
const FRAMING_BYTES = 15;

/** A topic for which no broker cuts the line; at most 65,535 bytes. */
const TOPIC = /^[^\p{Cc}\p{Noncharacter_Code_Point}+#]{1,16383}$/u;

/** A broker cuts a client when another one comes with its id. Twins cut each other soon after each connect. */
const TWIN = { heldMs: 60_000, cuts: 2 } as const;

export class MqttLink {
  readonly #options: LineOptions;
  readonly #events: LinkEvents;
  readonly #retained = new Map<string, string>();
  readonly #subscriptions = new Set<string>();
  readonly #policy = new RetryPolicy();
  #line: MqttLine | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** Lines in a row that were cut soon after they were made. */
  #cuts = 0;

  constructor(options: LineOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
  }

  get connected(): boolean {
    return this.#line?.isOpen === true;
  }

  /** Returns at once; the first connection is made when the broker is reachable. */
  start(): void {
    if (this.#line === undefined) this.#open();
  }

  /** Publishes a last message, retained, and closes the line; takes 1.5 s at most. */
  async stop(last?: Retained): Promise<void> {
    const line = this.#line;
    this.#line = undefined;
    clearTimeout(this.#retry);
    await line?.close(last);
  }

  subscribe(filter: string): void {
    this.#subscriptions.add(filter);
    if (this.connected) this.#line?.subscribe(filter);
  }

  /**
   * Publishes now and on every connect, until another payload takes its place. A payload that can't be sent is
   * reported to `onRefused`, and the one before it stays.
   */
  retain(topic: string, payload: string): void {
    if (this.#faultOf(topic, payload) === undefined) this.#retained.set(topic, payload);
    this.#repeat(topic, payload);
  }

  /**
   * Publishes now; lost if there is no line, or if it breaks before the broker has it.
   * @throws {RangeError} if it can't be sent to this broker; the caller may send something shorter instead.
   */
  publish(
    topic: string,
    payload: string | Uint8Array,
    { correlationData, qos = 0, retain = false }: PublishOptions = {},
  ): void {
    const correlated = this.#line?.version === 5 && correlationData !== undefined ? { correlationData } : {};
    const fault = this.#faultOf(topic, payload, correlated);
    if (fault !== undefined) throw new RangeError(`Cannot publish to ${topic}: ${fault}`);
    this.#send(topic, payload, { qos, retain, ...correlated });
  }

  /**
   * Publishes now, and tells whether the broker has it.
   * @throws {RangeError} as `publish`.
   */
  deliver(topic: string, payload: string): Promise<boolean> {
    const fault = this.#faultOf(topic, payload);
    if (fault !== undefined) throw new RangeError(`Cannot publish to ${topic}: ${fault}`);
    return this.connected && this.#line !== undefined
      ? this.#line.deliver(topic, payload)
      : Promise.resolve(false);
  }

  /** Reports instead of throwing, since on connect it is called from within an event, one topic after another. */
  #repeat(topic: string, payload: string): void {
    const fault = this.#faultOf(topic, payload);
    if (fault === undefined) this.#send(topic, payload, { qos: 1, retain: true });
    else this.#refuse(topic, fault);
  }

  #send(topic: string, payload: string | Uint8Array, options: Publish): void {
    if (this.connected) this.#line?.publish(topic, payload, options);
  }

  /** The reason why it can't be sent to this broker, or to any broker while there is no line. */
  #faultOf(
    topic: string,
    payload: string | Uint8Array,
    { correlationData }: PublishOptions = {},
  ): string | undefined {
    if (!TOPIC.test(topic)) return 'expected a topic without wildcards, control characters and noncharacters';
    const bytes = Buffer.byteLength(payload);
    const otherBytes = Buffer.byteLength(topic) + (correlationData?.byteLength ?? 0) + FRAMING_BYTES;
    const brokersBytes = (this.#line?.maxPacketBytes ?? Number.POSITIVE_INFINITY) - otherBytes;
    const most = Math.min(this.#options.maxPayloadBytes, brokersBytes);
    return bytes > most ? `${bytes} bytes, expected at most ${most}` : undefined;
  }

  #open(): void {
    const line = new MqttLine(this.#options, this.#policy.version, {
      onOpen: () => this.#greet(),
      onMessage: (message) => this.#receive(message),
      onRefused: (topic, reason) => this.#refuse(topic, reason),
      onEnd: (end, reason) => {
        if (this.#line === line) this.#openLater(end, reason);
      },
    });
    this.#line = line;
  }

  #openLater(end: LineEnd, reason: string): void {
    const retryMs = this.#policy.pauseAfter(end);
    this.#retry = setTimeout(() => this.#open(), retryMs);
    const isCut = end.kind === 'lost' && end.heldMs < TWIN.heldMs;
    this.#cuts = isCut ? this.#cuts + 1 : 0;
    const hint = this.#cuts >= TWIN.cuts ? `; another client may have the id ${this.#options.clientId}` : '';
    // The step from MQTT 5 to 3.1.1 is no failure.
    if (retryMs > 0) this.#events.onOffline(`${reason}${hint}`, retryMs);
  }

  #greet(): void {
    this.#policy.connected();
    for (const filter of this.#subscriptions) this.#line?.subscribe(filter);
    for (const [topic, payload] of this.#retained) this.#repeat(topic, payload);
    this.#events.onConnect();
  }

  /** A request is useless to its client if the answer lacks its correlation data, so it is refused at once. */
  #receive(message: LinkMessage): void {
    const bytes = message.correlationData?.byteLength ?? 0;
    const fault = `correlation data: ${bytes} bytes, expected at most ${MAX_CORRELATION_BYTES}`;
    if (bytes > MAX_CORRELATION_BYTES) this.#refuse(message.topic, fault);
    else this.#events.onMessage(message);
  }

  #refuse(topic: string, reason: string): void {
    this.#events.onRefused?.(topic, reason);
  }
}
