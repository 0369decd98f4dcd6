/**
 * The agent's connection to its broker, MQTT 5 where the broker speaks it, else 3.1.1. The only file that
 * touches MQTT.js.
 *
 * - It waits for a broker that isn't there, with a growing, jittered pause, and never gives up.
 * - What is retained is published again on every connect: a broker may have lost it.
 * - Every publish is checked against the broker's limit first: one that is too large would be sent again at
 *   each reconnect and cut the line for good. While the line is down nothing is queued.
 */
import type { IClientOptions, IClientPublishOptions, IPublishPacket, MqttClient } from 'mqtt';
import { connect } from 'mqtt';

export interface LinkOptions {
  readonly server: string;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  readonly keepaliveSeconds: number;
  /** Largest payload that is sent or read, in bytes. */
  readonly maxPayloadBytes: number;
  /** Said for us, retained, when the line breaks. */
  readonly will?: { readonly topic: string; readonly payload: string };
}

export interface LinkMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** MQTT 5 only. */
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
}

export interface LinkEvents {
  readonly onMessage: (message: LinkMessage) => void;
  readonly onConnect: () => void;
  /** Once for each loss or failed attempt, with why and how long until the next. */
  readonly onOffline: (reason: string, retryMs: number) => void;
}

/** First pause and longest pause between attempts. */
const RETRY_MS = { first: 1000, longest: 30_000 } as const;

/** Topic, properties and framing beside the payload. */
const OVERHEAD_BYTES = 1024;

const MQTT_5 = 5;
const MQTT_311 = 4;

export class MqttLink {
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #retained = new Map<string, string>();
  readonly #subscriptions = new Set<string>();
  #client: MqttClient | undefined;
  #retryMs: number = RETRY_MS.first;
  #maxPacketBytes = Number.POSITIVE_INFINITY;
  #lastError = 'connection lost';

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
  }

  get connected(): boolean {
    return this.#client?.connected === true;
  }

  /** MQTT 5 carries where to answer and what to; with 3.1.1 that is in the payload. */
  get speaks5(): boolean {
    return this.#client?.options.protocolVersion === MQTT_5;
  }

  /** Returns at once; the first connection comes when the broker is there. */
  start(): void {
    this.#client = this.#connect(MQTT_5);
  }

  /** Says a last word, retained, and closes the line. */
  async stop(last?: { readonly topic: string; readonly payload: string }): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    if (client === undefined) return;
    if (last !== undefined && client.connected) {
      await client.publishAsync(last.topic, last.payload, { qos: 1, retain: true }).catch(() => undefined);
    }
    await client.endAsync(!client.connected);
  }

  subscribe(filter: string): void {
    this.#subscriptions.add(filter);
    if (this.connected) this.#client?.subscribe(filter, { qos: 1 });
  }

  /** Publishes now and again on every connect, until another payload takes its place. */
  retain(topic: string, payload: string): void {
    this.#retained.set(topic, payload);
    if (this.connected) this.#send(topic, payload, { qos: 1, retain: true });
  }

  /** @throws {RangeError} if the payload is larger than the broker takes. Lost while there is no connection. */
  publish(topic: string, payload: string, { correlationData, qos = 0 }: PublishOptions = {}): void {
    const properties =
      correlationData !== undefined && this.speaks5
        ? { correlationData: Buffer.from(correlationData) }
        : undefined;
    this.#send(topic, payload, { qos, ...(properties === undefined ? {} : { properties }) });
  }

  #send(topic: string, payload: string, options: IClientPublishOptions): void {
    const bytes = Buffer.byteLength(payload);
    const most = Math.min(this.#options.maxPayloadBytes, this.#maxPacketBytes - OVERHEAD_BYTES);
    if (bytes > most)
      throw new RangeError(`Cannot publish to ${topic}: ${bytes} bytes, expected at most ${most}`);
    if (this.connected) this.#client?.publish(topic, payload, options);
  }

  #connect(protocolVersion: 4 | 5): MqttClient {
    const { server, clientId, username, password, keepaliveSeconds, will, maxPayloadBytes } = this.#options;
    const options: IClientOptions = {
      clientId,
      protocolVersion,
      clean: true,
      keepalive: keepaliveSeconds,
      reconnectPeriod: this.#retryMs,
      queueQoSZero: false,
      resubscribe: false,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(will === undefined
        ? {}
        : { will: { ...will, payload: Buffer.from(will.payload), qos: 1, retain: true } }),
      ...(protocolVersion === MQTT_5
        ? { properties: { maximumPacketSize: maxPayloadBytes + OVERHEAD_BYTES } }
        : {}),
    };
    const client = connect(server, options);
    client.on('connect', (packet) => {
      this.#retryMs = RETRY_MS.first;
      client.options.reconnectPeriod = this.#retryMs;
      this.#maxPacketBytes = packet.properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY;
      this.#greet(client);
    });
    client.on('message', (_topic, _payload, packet) => this.#receive(packet));
    client.on('error', (error) => this.#fail(client, error));
    client.on('close', () => this.#pause(client));
    return client;
  }

  #greet(client: MqttClient): void {
    for (const filter of this.#subscriptions) client.subscribe(filter, { qos: 1 });
    for (const [topic, payload] of this.#retained) this.#send(topic, payload, { qos: 1, retain: true });
    this.#events.onConnect();
  }

  #receive({ topic, payload, properties }: IPublishPacket): void {
    const { responseTopic, correlationData } = properties ?? {};
    this.#events.onMessage({
      topic,
      payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
      ...(responseTopic === undefined ? {} : { responseTopic }),
      ...(correlationData === undefined ? {} : { correlationData }),
    });
  }

  /** A broker that doesn't know MQTT 5 refuses it by name or just hangs up: then 3.1.1 is tried. */
  #fail(client: MqttClient, error: Error): void {
    this.#lastError = error.message;
    const refused = /protocol version/i.test(error.message) && client.options.protocolVersion === MQTT_5;
    if (!refused || this.#client !== client) return;
    client.end(true);
    this.#client = this.#connect(MQTT_311);
  }

  #pause(client: MqttClient): void {
    if (this.#client !== client) return;
    const jittered = Math.round(this.#retryMs * (0.75 + Math.random() / 2));
    client.options.reconnectPeriod = jittered;
    this.#events.onOffline(this.#lastError, jittered);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.longest);
  }
}

export interface PublishOptions {
  readonly qos?: 0 | 1;
  /** Copied from the request, where the broker speaks MQTT 5. */
  readonly correlationData?: Uint8Array;
}
