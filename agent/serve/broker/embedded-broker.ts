/**
 * An MQTT 3.1.1 broker inside the agent, so that a node needs no other broker. The only file that touches
 * aedes. By default it listens on the loopback interface.
 *
 * Clients are treated as hostile. broker-access.ts and broker-login.ts decide on their rights.
 * packet-limit.ts, broker-intake.ts and broker-deliveries.ts bound the memory that they can take. Sessions
 * aren't kept: a client that asks for one (`clean: false`) gets a clean one, since messages would pile up
 * while it is away.
 */
import type { EventEmitter } from 'node:events';
import { once } from 'node:events';
import type { AddressInfo, DropArgument, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { AedesPublishPacket, AuthenticateError, Client, ConnectPacket, Subscription } from 'aedes';
import { Aedes } from 'aedes';
import { isLoopback } from '../../../shared/wire/index.js';
import { isRequest, mayPublish, mayRead, signedTopic } from './broker-access.js';
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
  /** Port; 0 for any free one. */
  readonly port: number;
  readonly base: string;
  /** Login of clients. Without it any client may connect. */
  readonly credentials?: Login;
  /** Largest packet in bytes, header and body together. A client that announces a larger one is cut off. */
  readonly maxPacketBytes?: number;
  /** Called once for each client that is refused or cut off, with its address and the reason. */
  readonly onRefused?: (address: string, reason: string) => void;
}

/** URL and login of the agent itself. A client with this login may do everything. */
export interface AgentAccess extends Login {
  readonly url: string;
}

/** Most connections at once, the agent's own included: more than a board serves, fewer than it has memory for. */
const MAX_CLIENTS = 32;

/** Most connections from one address. Half of all, so that one machine doesn't shut the others out. */
const MAX_PER_ADDRESS = 16;

/** Most subscriptions of a client, and most characters of each. They stay as long as the client. */
const MAX_SUBSCRIPTIONS = 64;
const MAX_FILTER_LENGTH = 1024;

/** Most bytes of all clients' unfinished packets: more than one packet of the largest size. */
const MAX_UNFINISHED_BYTES = 48 * 2 ** 20;

/** Most messages and bytes that are being delivered, of all clients together. */
const DELIVERIES = { maxMessages: 500, maxBytes: 48 * 2 ** 20 } as const;

/** Most unread bytes of a client. Past them it is cut off, but one message of any size is always begun. */
const MAX_UNREAD_BYTES = 8 * 2 ** 20;

/** Time in ms until CONNECT must come, and for a full socket to drain, since other clients wait for it. */
const TIMEOUTS = { connectTimeout: 10_000, drainTimeout: 5000 } as const;

/** Most QoS 2 messages of a client that wait for their PUBREL. */
const MAX_INBOUND = 32;

/** CONNACK's return code for a refused protocol version. */
const PROTOCOL_REFUSED = 1;
const GONE: Refusal = { returnCode: RETURN_CODE.notAuthorized, reason: 'connection closed' };

/** Members of aedes that its types don't declare. */
interface Internals {
  readonly mq: Emitter;
  readonly persistence: { incomingStorePacket(client: Client, packet: AedesPublishPacket): Promise<void> };
}

export class EmbeddedBroker {
  readonly #options: BrokerOptions;
  readonly #guests = new Map<unknown, Guest>();
  readonly #intake = new Intake(MAX_UNFINISHED_BYTES);
  #agent = createAgentLogin();
  /** Client id of the agent, since it first logged in. */
  #agentId: string | undefined;
  #broker: Aedes | undefined;
  #server: Server | undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  /**
   * @returns URL and login of the agent itself.
   * @throws {RangeError} if the broker can't listen at its address.
   */
  async start(): Promise<AgentAccess> {
    this.#agent = createAgentLogin();
    const broker = await this.#createBroker();
    const server = createServer({ keepAlive: true, noDelay: true }, (socket) => this.#take(socket, broker));
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

  /** Closes the sockets before aedes, which knows only those that have sent CONNECT. */
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
      // aedes gets no limit, since DELIVERIES is the limit.
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

  /** Bounds aedes from the inside where it has no options. */
  #boundInside({ mq, persistence }: Internals): void {
    const isAgent = (clientId: string) => clientId === this.#agentId;
    const onLost = (reason: string) => {
      for (const guest of this.#guests.values())
        if (guest.isAgent) guest.report(`messages are lost: ${reason}`);
    };
    boundDeliveries(mq, { ...DELIVERIES, isAgent, onLost });
    // Until PUBREL, aedes only asks whether it has the packet, so that the payload needn't stay.
    const store = persistence.incomingStorePacket.bind(persistence);
    persistence.incomingStorePacket = (client, packet) =>
      store(client, { ...packet, payload: Buffer.alloc(0) });
  }

  /**
   * Takes a connection. aedes comes first: it listens for 'readable', so that the limits' 'data' doesn't
   * start the flow.
   */
  #take(socket: Socket, broker: Aedes): void {
    const { maxPacketBytes = MAX_PACKET_BYTES, onRefused = () => undefined } = this.#options;
    const guest = new Guest(socket, onRefused);
    if (this.#isCrowded(socket)) {
      guest.cut(`more than ${MAX_PER_ADDRESS} connections of one address`);
      return;
    }
    this.#guests.set(socket, guest);
    socket.once('close', () => this.#guests.delete(socket));
    broker.handle(socket);
    limitPackets(socket, { maxPacketBytes, onRefused: (reason) => guest.report(reason) });
    this.#intake.watch(socket, {
      isLoggedIn: () => guest.isLoggedIn,
      onRefused: (reason) => guest.cut(reason),
    });
  }

  /** Whether an address has as many connections as it may. Programs of the board itself share one address. */
  #isCrowded({ remoteAddress }: Socket): boolean {
    const sockets = [...this.#guests.keys()] as readonly Socket[];
    const count = sockets.filter((socket) => socket.remoteAddress === remoteAddress).length;
    return count >= MAX_PER_ADDRESS && !isLoopback(remoteAddress ?? '');
  }

  /** Judges a CONNECT, which aedes passes whole only here. Only #admit() can answer it. */
  #judge(client: Client, packet: ConnectPacket): void {
    const guest = this.#guests.get(client.conn);
    if (guest === undefined) return;
    const { base, credentials } = this.#options;
    guest.isAgent = isLogin(packet, this.#agent);
    if (guest.isAgent) this.#agentId = packet.clientId;
    else {
      const isTaken = (id: string) => this.#hasClient(id);
      guest.refusal = refuseClient(packet, { base, credentials, agentId: this.#agentId, isTaken });
    }
    packet.clean = true;
  }

  #hasClient(id: string): boolean {
    return [...this.#guests.values()].some((guest) => guest.clientId === id);
  }

  #admit(client: Client): AuthenticateError | null {
    const guest = this.#guests.get(client.conn);
    const refusal = guest === undefined ? GONE : guest.refusal;
    if (refusal === undefined && guest !== undefined) guest.clientId = client.id;
    if (refusal === undefined) return null;
    guest?.report(refusal.reason);
    return Object.assign(new Error(refusal.reason), { returnCode: refusal.returnCode });
  }

  /** Checks the limits of subscriptions, for the agent, too. aedes closes the connection on an error. */
  #refuseSubscription(client: Client, { topic }: Subscription): Error | null {
    const { subscriptions } = client as Client & { readonly subscriptions: object };
    const isFull = Object.keys(subscriptions).length >= MAX_SUBSCRIPTIONS;
    if (isFull || topic.length > MAX_FILTER_LENGTH) {
      const limits = `${MAX_SUBSCRIPTIONS} filters of ${MAX_FILTER_LENGTH} characters`;
      return new Error(`too many or too long subscriptions, expected at most ${limits}`);
    }
    const isSlowEnough = this.#guests.get(client.conn)?.maySubscribe() === true;
    return isSlowEnough ? null : new Error('too many subscriptions in a short time');
  }

  /** Whether a client may read a filter. A refusal goes into SUBACK, and the connection stays. */
  #mayRead({ conn, id }: Client, { topic }: Subscription): boolean {
    const guest = this.#guests.get(conn);
    if (guest?.isAgent === true || mayRead(topic, { base: this.#options.base, client: id })) return true;
    guest?.report(`no right to read ${topic}`);
    return false;
  }

  /**
   * The refusal of a publication. aedes closes the connection, since MQTT 3.1.1 has no other answer. A request that is
   * accepted gets its sender's id.
   */
  #refusePublish(client: Client | null, packet: { topic: string; retain?: boolean }): Error | null {
    const guest = client === null ? undefined : this.#guests.get(client.conn);
    const { topic, retain = false } = packet;
    if (guest?.isAgent === true) return null;
    if (mayPublish({ topic, retain }, this.#options.base)) {
      if (isRequest(topic, this.#options.base)) packet.topic = signedTopic(topic, guest?.clientId ?? '');
      return null;
    }
    return new Error(
      `no right to publish ${retain ? 'retained ' : ''}to ${topic.slice(0, MAX_FILTER_LENGTH)}`,
    );
  }

  /** Forwards a message unless its reader is too slow. A slow client is cut off; a slow agent only loses requests. */
  #forward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
    const guest = this.#guests.get(client.conn);
    if (guest === undefined) return null;
    if (!guest.isAgent && isRequest(packet.topic, this.#options.base)) return null;
    const { unreadBytes } = guest;
    if (unreadBytes <= MAX_UNREAD_BYTES) {
      guest.promise(packet.payload.length);
      return packet;
    }
    const reason = `${unreadBytes} bytes are unread, expected at most ${MAX_UNREAD_BYTES}`;
    if (guest.isAgent) guest.report(`requests to the agent are lost: ${reason}`);
    else guest.cut(reason);
    return null;
  }

  /**
   * Reports an error of a client. Connections that the other side ended (an error with a code, or after the
   * close) aren't reported. Neither is the refusal of MQTT 5, after which clients come again with 3.1.1.
   */
  #reportError(client: Client, error: Error & { errorCode?: number; code?: string }): void {
    if (client.closed || error.code !== undefined || error.errorCode === PROTOCOL_REFUSED) return;
    this.#guests.get(client.conn)?.report(error.message);
  }

  /** Reports an error of the server itself, such as running out of file descriptors. The broker goes on. */
  #reportOwn(error: Error): void {
    this.#options.onRefused?.('the broker itself', error.message);
  }

  #reportDrop(dropped: DropArgument | undefined): void {
    const address = `${dropped?.remoteAddress}:${dropped?.remotePort}`;
    this.#options.onRefused?.(address, `more than ${MAX_CLIENTS} connections`);
  }
}
