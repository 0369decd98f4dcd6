/**
 * An MQTT 3.1.1 broker inside the agent, for nodes that have none: nothing else needs to be installed. The
 * only file that touches aedes. Listens on the loopback interface unless told otherwise.
 *
 * Clients are hostile until bounded: who may do what is in broker-access.ts and broker-login.ts, what they may
 * make the broker hold in packet-limit.ts, broker-intake.ts and broker-deliveries.ts. Sessions aren't kept: a
 * client that asks for one (`clean: false`) gets a clean one, or what is published while it is away would pile up.
 */
import type { EventEmitter } from 'node:events';
import { once } from 'node:events';
import type { AddressInfo, DropArgument, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { AedesPublishPacket, AuthenticateError, Client, ConnectPacket, Subscription } from 'aedes';
import { Aedes } from 'aedes';
import { mayPublish, mayRead } from './broker-access.js';
import { explainListenError, localUrl } from './broker-address.js';
import type { Emitter } from './broker-deliveries.js';
import { boundDeliveries } from './broker-deliveries.js';
import { Guest } from './broker-guest.js';
import { Intake } from './broker-intake.js';
import type { Login, Refusal } from './broker-login.js';
import { createAgentLogin, isLogin, RETURN_CODE, refuseClient } from './broker-login.js';
import { limitPackets, MAX_PACKET_BYTES } from './packet-limit.js';

export interface BrokerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly base: string;
  /** What clients log in with; without it anybody may connect. */
  readonly credentials?: Login;
  /** Largest packet, header and body together; a client that announces a larger one is cut off. */
  readonly maxPacketBytes?: number;
  /** Told of each client that is refused something or cut off, once, with its address and why. */
  readonly onRefused?: (address: string, reason: string) => void;
}

/** For the agent's own line alone: who logs in with it may do everything. */
export interface AgentAccess extends Login {
  readonly url: string;
}

/** Clients at once: more than a board serves, fewer than it has memory for. */
const MAX_CLIENTS = 32;

/** Each may be `MAX_FILTER_LENGTH` long and stays as long as its client. */
const MAX_SUBSCRIPTIONS = 64;
const MAX_FILTER_LENGTH = 1024;

/** Of all clients; more than one packet of the largest size. */
const MAX_UNFINISHED_BYTES = 48 * 2 ** 20;
const DELIVERIES = { maxMessages: 500, maxBytes: 48 * 2 ** 20 } as const;

/** Past this a reader is given up; one message more, of any size, is always begun. */
const MAX_UNREAD_BYTES = 8 * 2 ** 20;

/** The time to say CONNECT, and for a full socket to be taken over by its reader, which others wait for. */
const TIMEOUTS = { connectTimeout: 10_000, drainTimeout: 5000 } as const;

/** QoS 2 messages without their PUBREL, of one client. */
const MAX_INBOUND = 32;

const PROTOCOL_REFUSED = 1;
const GONE: Refusal = { returnCode: RETURN_CODE.notAuthorized, reason: 'connection closed' };

/** Of aedes, not in its types. */
interface Internals {
  readonly mq: Emitter;
  readonly persistence: { incomingStorePacket(client: Client, packet: AedesPublishPacket): Promise<void> };
}

export class EmbeddedBroker {
  readonly #options: BrokerOptions;
  readonly #guests = new Map<unknown, Guest>();
  readonly #intake = new Intake(MAX_UNFINISHED_BYTES);
  #agent = createAgentLogin();
  /** Of the agent, since it first logged in. */
  #agentId: string | undefined;
  #broker: Aedes | undefined;
  #server: Server | undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  /** @returns how the agent itself connects. @throws {RangeError} if it can't listen there. */
  async start(): Promise<AgentAccess> {
    this.#agent = createAgentLogin();
    const broker = await this.#createBroker();
    const server = createServer({ keepAlive: true }, (socket) => this.#take(socket, broker));
    server.maxConnections = MAX_CLIENTS;
    server.on('drop', (dropped) => this.#reportDrop(dropped));
    this.#broker = broker;
    this.#server = server;
    const { host, port } = this.#options;
    try {
      await once(server.listen(port, host), 'listening');
    } catch (error) {
      await this.stop();
      throw explainListenError(error as NodeJS.ErrnoException, { host, port });
    }
    server.on('error', (error) => this.#reportOwn(error));
    return { url: localUrl(server.address() as AddressInfo), ...this.#agent };
  }

  /** Sockets first: aedes knows only those that have said CONNECT. */
  async stop(): Promise<void> {
    const [broker, server] = [this.#broker, this.#server];
    this.#broker = undefined;
    this.#server = undefined;
    const closed = server?.listening === true ? once(server, 'close') : undefined;
    server?.close();
    for (const socket of this.#guests.keys()) (socket as Socket).destroy();
    if (broker !== undefined) await new Promise<void>((resolve) => broker.close(() => resolve()));
    await closed;
  }

  async #createBroker(): Promise<Aedes> {
    const broker = await Aedes.createBroker({
      ...TIMEOUTS,
      // Without a limit of its own: DELIVERIES is that.
      concurrency: 0,
      maxInflightInbound: MAX_INBOUND,
      preConnect: (client, packet, done) => {
        this.#judge(client, packet);
        done(null, true);
      },
      authenticate: (client, _username, _password, done) => {
        const error = this.#admit(client);
        done(error, error === null);
      },
      authorizeSubscribe: (client, subscription, done) => {
        const error = this.#refuseSubscription(client, subscription);
        done(error, error === null && this.#mayRead(client, subscription) ? subscription : null);
      },
      authorizePublish: (client, packet, done) => done(this.#refusePublish(client, packet)),
      authorizeForward: (client, packet) => this.#forward(client, packet),
    });
    (broker as EventEmitter).on('error', (error: Error) => this.#reportOwn(error));
    broker.on('clientError', (client, error) => this.#reportError(client, error));
    broker.on('connectionError', (client, error) => this.#reportError(client, error));
    this.#boundInside(broker as unknown as Internals);
    return broker;
  }

  /** Where aedes has no options. */
  #boundInside({ mq, persistence }: Internals): void {
    const isAgent = (clientId: string) => clientId === this.#agentId;
    const onLost = (reason: string) => {
      for (const guest of this.#guests.values())
        if (guest.isAgent) guest.report(`messages are lost: ${reason}`);
    };
    boundDeliveries(mq, { ...DELIVERIES, isAgent, onLost });
    // Until PUBREL, aedes asks only whether it has the packet: what is in it needn't stay.
    const store = persistence.incomingStorePacket.bind(persistence);
    persistence.incomingStorePacket = (client, packet) =>
      store(client, { ...packet, payload: Buffer.alloc(0) });
  }

  /** aedes first: once it listens for 'readable', the limits' 'data' doesn't set the socket flowing. */
  #take(socket: Socket, broker: Aedes): void {
    const { maxPacketBytes = MAX_PACKET_BYTES, onRefused = () => undefined } = this.#options;
    const guest = new Guest(socket, onRefused);
    this.#guests.set(socket, guest);
    socket.once('close', () => this.#guests.delete(socket));
    broker.handle(socket);
    limitPackets(socket, { maxPacketBytes, onRefused: (reason) => guest.report(reason) });
    this.#intake.watch(socket, {
      isLoggedIn: () => guest.isLoggedIn,
      onRefused: (reason) => guest.cut(reason),
    });
  }

  /** Only here is the whole CONNECT to be had; only #admit() can answer it. */
  #judge(client: Client, packet: ConnectPacket): void {
    const guest = this.#guests.get(client.conn);
    if (guest === undefined) return;
    const { base, credentials } = this.#options;
    guest.isAgent = isLogin(packet, this.#agent);
    if (guest.isAgent) this.#agentId = packet.clientId;
    else guest.refusal = refuseClient(packet, { base, credentials, agentId: this.#agentId });
    packet.clean = true;
  }

  #admit(client: Client): AuthenticateError | null {
    const guest = this.#guests.get(client.conn);
    const refusal = guest === undefined ? GONE : guest.refusal;
    if (refusal === undefined && guest !== undefined) guest.isLoggedIn = true;
    if (refusal === undefined) return null;
    guest?.report(refusal.reason);
    return Object.assign(new Error(refusal.reason), { returnCode: refusal.returnCode });
  }

  /** Of anybody; aedes closes the connection. */
  #refuseSubscription(client: Client, { topic }: Subscription): Error | null {
    const { subscriptions } = client as Client & { readonly subscriptions: object };
    const isFull = Object.keys(subscriptions).length >= MAX_SUBSCRIPTIONS;
    if (isFull || topic.length > MAX_FILTER_LENGTH) {
      const limits = `${MAX_SUBSCRIPTIONS} filters of ${MAX_FILTER_LENGTH} characters`;
      return new Error(`too many or too long subscriptions, expected at most ${limits}`);
    }
    const isSlow = this.#guests.get(client.conn)?.maySubscribe() === true;
    return isSlow ? null : new Error('too many subscriptions in a short time');
  }

  /** A filter that isn't granted is refused in SUBACK; the connection stays. */
  #mayRead({ conn, id }: Client, { topic }: Subscription): boolean {
    const guest = this.#guests.get(conn);
    if (guest?.isAgent === true || mayRead(topic, { base: this.#options.base, client: id })) return true;
    guest?.report(`no right to read ${topic}`);
    return false;
  }

  /** aedes closes the connection of a client that it may not publish for: MQTT 3.1.1 has no other answer. */
  #refusePublish(client: Client | null, packet: { topic: string; retain?: boolean }): Error | null {
    const guest = client === null ? undefined : this.#guests.get(client.conn);
    const { topic, retain = false } = packet;
    if (guest?.isAgent === true || mayPublish({ topic, retain }, this.#options.base)) return null;
    return new Error(
      `no right to publish ${retain ? 'retained ' : ''}to ${topic.slice(0, MAX_FILTER_LENGTH)}`,
    );
  }

  /** The agent keeps its line when others ask faster than it reads; those requests get no answer. */
  #forward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
    const guest = this.#guests.get(client.conn);
    if (guest === undefined) return null;
    const { unreadBytes } = guest;
    if (unreadBytes <= MAX_UNREAD_BYTES) {
      guest.promise(packet.payload.length);
      return packet;
    }
    const reason = `${unreadBytes} bytes that it hasn't read, expected at most ${MAX_UNREAD_BYTES}`;
    if (guest.isAgent) guest.report(`requests to the agent are lost: ${reason}`);
    else guest.cut(reason);
    return null;
  }

  /**
   * Not what the other side ended (an error with a code, or after the close), nor the refusal of MQTT 5, after which
   * clients come again with 3.1.1.
   */
  #reportError(client: Client, error: Error & { errorCode?: number; code?: string }): void {
    if (client.closed || error.code !== undefined || error.errorCode === PROTOCOL_REFUSED) return;
    this.#guests.get(client.conn)?.report(error.message);
  }

  /** Such as an accept without a file descriptor left; nobody's in particular, and nothing to end for. */
  #reportOwn(error: Error): void {
    this.#options.onRefused?.('the broker itself', error.message);
  }

  #reportDrop(dropped: DropArgument | undefined): void {
    const address = `${dropped?.remoteAddress}:${dropped?.remotePort}`;
    this.#options.onRefused?.(address, `more than ${MAX_CLIENTS} connections`);
  }
}
