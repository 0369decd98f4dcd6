/**
 * The node's connection to its broker, as a feature: dispatches messages and retains the node's status. It connects when
 * the node can serve, and is closed when all requests were answered.
 */
import type { Logger } from 'pino';
import type { DispatchOptions, Route } from './dispatch.js';
import { Dispatcher } from './dispatch.js';
import type { LinkOptions, PublishOptions } from './mqtt-link.js';
import { MqttLink } from './mqtt-link.js';

export interface ConnectionOptions extends Omit<LinkOptions, 'server' | 'will'> {
  /** Address and credentials of the broker. Asked for at the start, since the embedded one has them only then. */
  readonly access: () => Pick<LinkOptions, 'username' | 'password' | 'tls'> & { readonly url: string };
  readonly statusTopic: string;
  readonly log: Logger;
}

export class MqttConnection {
  readonly #options: ConnectionOptions;
  #dispatcher: Dispatcher | undefined;
  #link: MqttLink | undefined;
  #server = '';
  readonly #onConnect: (() => void)[] = [];

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** The broker's address once the connection is started. */
  get server(): string {
    return this.#server;
  }

  /** Prepares the link; `open` connects it. */
  start(): void {
    const { access, statusTopic, log, ...options } = this.#options;
    const { url, ...login } = access();
    this.#server = url;
    this.#link = new MqttLink(
      { ...options, ...login, server: url, will: { topic: statusTopic, payload: 'offline' } },
      {
        onConnect: () => {
          log.info({ server: url }, 'connected to the broker');
          for (const handle of this.#onConnect) handle();
        },
        onRefused: (topic, reason) => log.warn({ topic, reason }, 'publish or subscribe refused; dropped'),
        onOffline: (reason, retryMs) =>
          log.warn({ reason, retryMs, server: url }, 'no connection to the broker; trying again'),
        onMessage: (message) => void this.#dispatcher?.dispatch(message),
      },
    );
  }

  async stop(): Promise<void> {
    await this.#link?.stop({ topic: this.#options.statusTopic, payload: 'stopped' });
    this.#link = undefined;
  }

  /** Connects, subscribes to the routes' topics and says that the node is online. Returns before it is connected. */
  open(routes: readonly Route[], onDropped: DispatchOptions['onDropped']): void {
    this.#dispatcher = new Dispatcher({ routes, onDropped });
    this.retain(this.#options.statusTopic, 'online');
    for (const filter of this.#dispatcher.filters) this.#link?.subscribe(filter);
    this.#link?.start();
  }

  get isConnected(): boolean {
    return this.#link?.connected === true;
  }

  /** Calls back after each connect, when retained messages were published. */
  onConnect(handle: () => void): void {
    this.#onConnect.push(handle);
  }

  /** Publishes now, and tells whether the broker has it. @throws {RangeError} if the broker doesn't take it. */
  async deliver(topic: string, payload: string): Promise<boolean> {
    return (await this.#link?.deliver(topic, payload)) ?? false;
  }

  /** Resolves when all messages so far were handled. */
  async settle(): Promise<void> {
    await this.#dispatcher?.settle();
  }

  retain(topic: string, payload: string): void {
    this.#link?.retain(topic, payload);
  }

  /** Lost where there is no connection. @throws {RangeError} if the broker doesn't take it. */
  publish(topic: string, payload: string | Uint8Array, options: PublishOptions = {}): void {
    this.#link?.publish(topic, payload, options);
  }
}
