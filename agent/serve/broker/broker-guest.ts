/** One connection to the embedded broker: what it turned out to be, and how much it has left unread. */
import type { Socket } from 'node:net';
import type { Refusal } from './broker-login.js';

/** Filters that may be asked for at once, and again per second: each is a search through what is retained. */
const SUBSCRIPTIONS = { burst: 64, perSecond: 10 } as const;

export class Guest {
  readonly #socket: Socket;
  readonly #address: string;
  readonly #onRefused: (address: string, reason: string) => void;
  #isReported = false;
  #promisedBytes = 0;
  #subscriptions = { left: SUBSCRIPTIONS.burst as number, atMs: 0 };
  /** By its CONNECT. */
  isAgent = false;
  refusal: Refusal | undefined;
  isLoggedIn = false;

  constructor(socket: Socket, onRefused: (address: string, reason: string) => void) {
    this.#socket = socket;
    this.#address = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#onRefused = onRefused;
  }

  /** Bytes that wait for its socket, or will in a moment. */
  get unreadBytes(): number {
    return this.#socket.writableLength + this.#promisedBytes;
  }

  /**
   * aedes writes what it forwards a turn later, so that many messages at once would all find the socket empty:
   * thousands of SUBSCRIBE in one chunk, each answered with what is retained.
   */
  promise(bytes: number): void {
    this.#promisedBytes += bytes;
    setImmediate(() =>
      setImmediate(() => {
        this.#promisedBytes -= bytes;
      }),
    );
  }

  /** Counts a filter that is asked for; false when there were too many in too short a time. */
  maySubscribe(nowMs = performance.now()): boolean {
    const { left, atMs } = this.#subscriptions;
    const gained = ((nowMs - atMs) / 1000) * SUBSCRIPTIONS.perSecond;
    this.#subscriptions = { left: Math.min(SUBSCRIPTIONS.burst, left + gained) - 1, atMs: nowMs };
    return this.#subscriptions.left >= 0;
  }

  /** Once: what a connection is refused for is the first thing, and a log isn't a client's to fill. */
  report(reason: string): void {
    if (this.#isReported) return;
    this.#isReported = true;
    this.#onRefused(this.#address, reason);
  }

  cut(reason: string): void {
    this.report(reason);
    this.#socket.destroy();
  }
}
