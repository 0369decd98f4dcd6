/**
 * One connection to a broker, from the attempt to its end. The only file that imports MQTT.js.
 *
 * MQTT.js' own reconnecting isn't used. It ends for good at the first refusal, and it sends a QoS 1 packet
 * again even if the broker cut the line for just that packet. Here packets in flight are lost with their line.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { IClientOptions, IPublishPacket, MqttClient } from 'mqtt';
import library from 'mqtt/lib/client';
import { ReasonCodes } from 'mqtt/lib/handlers/ack';
import { writeToStream } from 'mqtt-packet';
import type { TlsFiles } from './broker-socket.js';
import { loginOf, openSocket } from './broker-socket.js';
import type { LineEnd, MqttVersion } from './retry-policy.js';

export interface LineOptions {
  readonly server: string;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  /** For `mqtts`. */
  readonly tls?: TlsFiles;
  readonly keepaliveSeconds: number;
  /** Largest payload that is sent or read, in bytes. */
  readonly maxPayloadBytes: number;
  /** Message that the broker publishes for us, retained, when the line breaks. */
  readonly will?: Retained;
}

export interface Retained {
  readonly topic: string;
  readonly payload: string;
}

export interface LinkMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** MQTT 5 only. */
  readonly responseTopic?: string;
  /** MQTT 5 only. */
  readonly correlationData?: Uint8Array;
  /** Milliseconds until the message expires; MQTT 5 only. */
  readonly expiryMs?: number;
}

export interface LineEvents {
  readonly onOpen: () => void;
  readonly onMessage: (message: LinkMessage) => void;
  /** The broker acknowledged a subscription or a QoS 1 publish, with a refusal. */
  readonly onRefused: (topic: string, reason: string) => void;
  /** Called once, for every kind of end. */
  readonly onEnd: (end: LineEnd, reason: string) => void;
}

export interface Publish {
  readonly qos: 0 | 1;
  readonly retain?: boolean;
  /** MQTT 5 only. */
  readonly correlationData?: Uint8Array;
}

/** MQTT's own limit. */
const MAX_PACKET_BYTES = 2 ** 28 - 1;

/** Bytes of a received packet in addition to its payload: topic, properties and framing. */
const OVERHEAD_BYTES = 4096;

/** Time for the last message and the broker's acknowledgement together. */
const CLOSE_MS = 1500;

/** Return codes and reason codes of CONNACK, in MQTT 3.1.1 and 5. */
const WRONG_VERSION: readonly unknown[] = [1, 132];

/** Error codes of a socket that the other side closed. */
const HUNG_UP: readonly unknown[] = ['ECONNRESET', 'EPIPE'];

/** Else each of the 65,536 packet ids stays in memory as bytes: 6 MB, in the embedded broker, too. */
writeToStream.cacheNumbers = false;

/** The lengths of packets stay, too, cut from Buffer's pool: with slabs of 8 KB they held 4 MB more after each hour. */
Buffer.poolSize = 128;

export class MqttLine {
  readonly #client: MqttClient;
  readonly #events: LineEvents;
  readonly version: MqttVersion;
  /** Announced by the broker; MQTT 3.1.1 has no such thing. */
  #maxPacketBytes = MAX_PACKET_BYTES;
  #openedAtMs: number | undefined;
  /** Messages that the broker hasn't acknowledged. */
  readonly #undelivered = new Set<(isDelivered: boolean) => void>();
  /** First fault of the line; it says why the line ended. */
  #fault: Error | undefined;

  /** Opens the line, which is one attempt. */
  constructor(options: LineOptions, version: MqttVersion, events: LineEvents) {
    this.version = version;
    this.#events = events;
    const client = new library.default(
      () => openSocket(options.server, options.tls),
      clientOptions(options, version),
    );
    this.#client = client;
    client.on('connect', ({ properties }) => {
      this.#maxPacketBytes = properties?.maximumPacketSize ?? MAX_PACKET_BYTES;
      this.#openedAtMs = performance.now();
      events.onOpen();
    });
    client.on('message', (_topic, _payload, packet) => events.onMessage(messageOf(packet)));
    client.on('disconnect', ({ reasonCode = 0 }) => this.#fail(new Error(reasonOf(reasonCode))));
    client.on('error', (error) => this.#fail(error));
    client.on('close', () => this.#giveUp());
    client.on('close', () => events.onEnd(this.#end(), describeFault(this.#fault)));
  }

  /** MQTT.js says `connected` before the broker's limit is taken over, so that alone isn't enough. */
  get isOpen(): boolean {
    return this.#openedAtMs !== undefined && this.#client.connected;
  }

  /** Largest packet that the broker is known to take. */
  get maxPacketBytes(): number {
    return this.isOpen ? this.#maxPacketBytes : MAX_PACKET_BYTES;
  }

  subscribe(filter: string): void {
    this.#client.subscribe(filter, { qos: 1 }, (error, _granted, ack) =>
      this.#acknowledge(filter, error, ack),
    );
  }

  /** The caller has checked the size, since the broker would cut the line for a packet that is too large. */
  publish(topic: string, payload: string | Uint8Array, { correlationData, ...options }: Publish): void {
    const properties =
      correlationData === undefined ? {} : { properties: { correlationData: Buffer.from(correlationData) } };
    const sent = typeof payload === 'string' ? payload : Buffer.from(payload);
    this.#client.publish(topic, sent, { ...options, ...properties }, (error, ack) =>
      this.#acknowledge(topic, error, ack),
    );
  }

  /** Publishes by QoS 1. @returns whether the broker has acknowledged it, be it with a refusal; false if the line broke. */
  deliver(topic: string, payload: string): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (isDelivered: boolean) => {
        this.#undelivered.delete(settle);
        resolve(isDelivered);
      };
      this.#undelivered.add(settle);
      this.#client.publish(topic, payload, { qos: 1 }, (error, ack) => {
        this.#acknowledge(topic, error, ack);
        settle(!error || ack !== undefined);
      });
    });
  }

  #giveUp(): void {
    for (const settle of [...this.#undelivered]) settle(false);
  }

  /** Publishes a last message, retained, and closes within CLOSE_MS, even if the broker doesn't answer. */
  async close(last?: Retained): Promise<void> {
    if (this.isOpen) await within(CLOSE_MS, this.#sayGoodbye(last));
    // Not end(true), which does nothing while an end() still waits for the broker.
    this.#client.stream.destroy();
  }

  /** A broker that refuses the last message gets a DISCONNECT all the same; without it, it would publish the will. */
  async #sayGoodbye(last: Retained | undefined): Promise<void> {
    const options = { qos: 1, retain: true } as const;
    if (last !== undefined)
      await this.#client.publishAsync(last.topic, last.payload, options).catch(() => undefined);
    await this.#client.endAsync();
  }

  #acknowledge(topic: string, error: Error | null | undefined, ack: object | undefined): void {
    // Without an acknowledgement the line broke, which onEnd reports.
    if (error && ack !== undefined) this.#events.onRefused(topic, error.message);
  }

  #fail(error: Error): void {
    this.#fault ??= error;
    this.#client.stream.destroy();
  }

  #end(): LineEnd {
    if (this.#openedAtMs !== undefined) return { kind: 'lost', heldMs: performance.now() - this.#openedAtMs };
    const code = codeOf(this.#fault);
    if (WRONG_VERSION.includes(code)) return { kind: 'wrong-version' };
    return { kind: code === undefined || HUNG_UP.includes(code) ? 'unanswered' : 'failed' };
  }
}

function clientOptions(options: LineOptions, protocolVersion: MqttVersion): IClientOptions {
  const { server, clientId, username, password, keepaliveSeconds, will, maxPayloadBytes } = options;
  return {
    clientId,
    protocolVersion,
    clean: true,
    keepalive: keepaliveSeconds,
    reconnectPeriod: 0,
    queueQoSZero: false,
    resubscribe: false,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...loginOf(server),
    ...(will === undefined
      ? {}
      : { will: { ...will, payload: Buffer.from(will.payload), qos: 1, retain: true } }),
    ...(protocolVersion === 5 ? { properties: { maximumPacketSize: maxPayloadBytes + OVERHEAD_BYTES } } : {}),
  };
}

function messageOf({ topic, payload, properties }: IPublishPacket): LinkMessage {
  const { responseTopic, correlationData, messageExpiryInterval } = properties ?? {};
  return {
    topic,
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlationData === undefined ? {} : { correlationData }),
    ...(messageExpiryInterval === undefined ? {} : { expiryMs: messageExpiryInterval * 1000 }),
  };
}

/** Waits for work to end, at most so long; leaves no timer. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  const ended = new AbortController();
  const deadline = sleep(ms, undefined, { signal: ended.signal }).catch(() => undefined);
  await Promise.race([work, deadline]);
  ended.abort();
}

function reasonOf(code: number): string {
  return `the broker ended the connection: ${ReasonCodes[code as keyof typeof ReasonCodes] || code}`;
}

/** Node.js gives an error without a message, but with a code, if several addresses can't be reached. */
function describeFault(fault: Error | undefined): string {
  return fault === undefined ? 'the broker closed the connection' : fault.message || String(codeOf(fault));
}

/** MQTT's number, or the name of a system error. */
function codeOf(fault: Error | undefined): unknown {
  return fault !== undefined && 'code' in fault ? fault.code : undefined;
}
