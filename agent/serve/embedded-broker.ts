/**
 * An MQTT 3.1.1 broker inside the agent, for nodes that have none: nothing else needs to be installed. The
 * only file that touches aedes. Listens on the loopback interface unless told otherwise.
 *
 * A client may read answers only in its own place, `<base>/clients/<client id>/`.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { Aedes } from 'aedes';
import { limitPackets, MAX_PACKET_BYTES } from './packet-limit.js';

export interface BrokerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly base: string;
  /** Largest packet, header and body together; a client that announces a larger one is cut off. */
  readonly maxPacketBytes?: number;
  /** Told of each client that is cut off, with its address and why. */
  readonly onRefused?: (address: string, reason: string) => void;
}

/** Clients at once: more than a board serves, fewer than it has memory for. */
const MAX_CLIENTS = 64;

export class EmbeddedBroker {
  readonly #options: BrokerOptions;
  #broker: Aedes | undefined;
  #server: Server | undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  /** @returns the address clients connect to. @throws {RangeError} if the port can't be had. */
  async start(): Promise<string> {
    const { host, port, base } = this.#options;
    const broker = await Aedes.createBroker({
      authorizeSubscribe: (client, subscription, done) => {
        done(null, mayRead(base, client?.id ?? '', subscription.topic) ? subscription : null);
      },
    });
    const server = createServer({ keepAlive: true }, (socket) => this.#take(socket, broker));
    server.maxConnections = MAX_CLIENTS;
    this.#broker = broker;
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(new RangeError(`Cannot listen on ${host}:${port}: ${error.code ?? error.message}`));
      });
      server.listen(port, host, resolve);
    });
    const address = server.address();
    return `mqtt://${host}:${typeof address === 'object' ? address?.port : port}`;
  }

  async stop(): Promise<void> {
    const [broker, server] = [this.#broker, this.#server];
    this.#broker = undefined;
    this.#server = undefined;
    if (broker !== undefined) await new Promise<void>((resolve) => broker.close(() => resolve()));
    if (server?.listening === true) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** aedes first: once it listens for 'readable', the limit's 'data' doesn't set the socket flowing. */
  #take(socket: Socket, broker: Aedes): void {
    const { maxPacketBytes = MAX_PACKET_BYTES, onRefused } = this.#options;
    const address = `${socket.remoteAddress}:${socket.remotePort}`;
    broker.handle(socket);
    limitPackets(socket, { maxPacketBytes, onRefused: (reason) => onRefused?.(address, reason) });
  }
}

/** Another client's answers, and wildcards that would take them in, are nobody's to read. */
function mayRead(base: string, client: string, filter: string): boolean {
  const levels = filter.split('/');
  const place = [...base.split('/'), 'clients'];
  const reachesClients = place.every(
    (level, at) => levels[at] === level || levels[at] === '+' || levels.slice(0, at + 1).includes('#'),
  );
  return !reachesClients || levels[place.length] === client;
}
