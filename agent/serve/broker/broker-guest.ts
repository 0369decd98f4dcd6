/** One connection to the embedded broker, with its login and its unread bytes. */
import type { Socket } from 'node:net';
import type { Refusal } from './broker-login.js';

/** Limits of subscriptions, at once and per second. Each filter is a search through the retained messages. */
const SUBSCRIPTIONS = { burst: 64, perSecond: 10 } as const;

export class Guest {
  readonly #socket: Socket;
  readonly #address: string;
  readonly #onRefused: (address: string, reason: string) => void;
  #isReported = false;
  /** Bytes that aedes will write in a moment. */
  #promisedBytes = 0;
  #subscriptions = { left: SUBSCRIPTIONS.burst as number, atMs: 0 };
  /** Whether its CONNECT has the agent's login. */
  isAgent = false;
  /** Refusal of its CONNECT; undefined if it is accepted. */
  refusal: Refusal | undefined;
  /** Its client id, once its CONNECT has been accepted. */
  clientId: string | undefined;

  constructor(socket: Socket, onRefused: (address: string, reason: string) => void) {
    this.#socket = socket;
    this.#address = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#onRefused = onRefused;
  }

  /** Whether its CONNECT has been accepted. */
  get isLoggedIn(): boolean {
    return this.clientId !== undefined;
  }

  /** Bytes that wait for its socket, or will wait in a moment. */
  get unreadBytes(): number {
    return this.#socket.writableLength + this.#promisedBytes;
  }

  /**
   * Counts bytes that will be written. The broker writes a turn later, so that many messages at once would
   * all find the socket empty. One chunk may hold thousands of SUBSCRIBE, each answered with the retained
   * messages.
   */
  promise(bytes: number): void {
    this.#promisedBytes += bytes;
    setImmediate(() =>
      setImmediate(() => {
        this.#promisedBytes -= bytes;
      }),
    );
  }

  /** Counts a subscription. @returns false if there were too many in too short a time. */
  maySubscribe(nowMs = performance.now()): boolean {
    const { left, atMs } = this.#subscriptions;
    const gained = ((nowMs - atMs) / 1000) * SUBSCRIPTIONS.perSecond;
    this.#subscriptions = { left: Math.min(SUBSCRIPTIONS.burst, left + gained) - 1, atMs: nowMs };
    return this.#subscriptions.left >= 0;
  }

  /** Reports only the first refusal of a connection, so that a client can't flood the log. */
  report(reason: string): void {
    if (this.#isReported) return;
    this.#isReported = true;
    this.#onRefused(this.#address, reason);
  }

  /** Reports the reason and closes the connection. */
  cut(reason: string): void {
    this.report(reason);
    this.#socket.destroy();
  }
}
