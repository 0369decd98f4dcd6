/** Where the node connects to, as a feature: the embedded broker where the configuration asks for it, else nothing. */
import type { Logger } from 'pino';
import { EmbeddedBroker } from './embedded-broker.js';
import { MAX_PACKET_BYTES } from './packet-limit.js';

interface TlsPaths {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

/** The configuration's section `mqtt`, as far as the broker is concerned. */
export interface BrokerSettings {
  /** `embedded`, or the address of another broker. */
  readonly server: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly base: string;
  readonly username: string | null;
  readonly password: string | null;
  /** Paths of files in PEM for `mqtts`. */
  readonly tls: TlsPaths;
  /** Bytes of the largest request or answer. */
  readonly maxPayload: number;
}

export interface BrokerAccess {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: TlsPaths;
}

export class BrokerFeature {
  readonly #broker: EmbeddedBroker | undefined;
  #access: BrokerAccess;

  constructor(settings: BrokerSettings, log: Logger) {
    const { server, listen, base, username, password, tls, maxPayload } = settings;
    this.#access = {
      url: server,
      tls,
      ...(username === null ? {} : { username }),
      ...(password === null ? {} : { password }),
    };
    if (server !== 'embedded') return;
    this.#broker = new EmbeddedBroker({
      ...listen,
      ...(username === null || password === null ? {} : { credentials: { username, password } }),
      base,
      maxPacketBytes: Math.max(MAX_PACKET_BYTES, 2 * maxPayload),
      onRefused: (address, reason) => log.warn({ address, reason }, 'client refused'),
    });
  }

  /** Whether the broker is the node's own, which tells it who sent a request. */
  get isEmbedded(): boolean {
    return this.#broker !== undefined;
  }

  /** Address and credentials for the node's own connection; of the embedded broker once it is started. */
  get access(): BrokerAccess {
    return this.#access;
  }

  /** @throws {RangeError} if the embedded broker can't listen where the configuration says. */
  async start(): Promise<void> {
    if (this.#broker !== undefined) this.#access = await this.#broker.start();
  }

  async stop(): Promise<void> {
    await this.#broker?.stop();
  }
}
