/**
 * Hands the node's events to their subscribers.
 *
 * - `publish` only queues: no subscriber runs in the middle of the publisher's work, and none can make it fail.
 * - Each subscriber has a queue of its own, in order of publishing. While it is busy and its queue is full, the oldest
 *   event in it is dropped and counted; a slow subscriber delays nobody else.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeEvent } from './node-event.js';

/** Events that a subscriber may be behind: a minute of one camera at 4 frames a second. */
const CAPACITY = 256;

/** Longest time that a subscriber's end waits for its events. */
const DRAIN_MS = 2000;

export interface HubOptions {
  /** Events that wait for one subscriber at most. */
  readonly capacity?: number;
  /** Told what a subscriber threw; the subscriber goes on with the next event. */
  readonly onError: (subscriber: string, error: unknown) => void;
}

export type EventHandler = (event: NodeEvent) => void | Promise<void>;

export interface Subscription {
  /** Resolves when the events published so far were handled, or after DRAIN_MS: a hung handler must not keep the node. */
  drain(): Promise<void>;
  /** Events that still wait are dropped. */
  end(): void;
}

export interface SubscriberCounts {
  readonly subscriber: string;
  readonly delivered: number;
  readonly dropped: number;
  readonly waiting: number;
}

export class EventHub {
  readonly #options: Required<HubOptions>;
  readonly #subscribers = new Set<Subscriber>();

  constructor(options: HubOptions) {
    this.#options = { capacity: CAPACITY, ...options };
  }

  publish(event: NodeEvent): void {
    for (const subscriber of this.#subscribers) subscriber.offer(event);
  }

  /** @param name tells subscribers apart in counts and errors. */
  subscribe(name: string, handler: EventHandler): Subscription {
    const subscriber = new Subscriber(name, handler, this.#options);
    this.#subscribers.add(subscriber);
    return {
      drain: () => subscriber.drain(),
      end: () => {
        subscriber.close();
        this.#subscribers.delete(subscriber);
      },
    };
  }

  get counts(): readonly SubscriberCounts[] {
    return [...this.#subscribers].map(({ counts }) => counts);
  }
}

class Subscriber {
  readonly #name: string;
  readonly #handler: EventHandler;
  readonly #options: Required<HubOptions>;
  readonly #waiting: NodeEvent[] = [];
  #isDelivering = false;
  #counts = { delivered: 0, dropped: 0 };
  /** Ends when no event waits any more. */
  #delivering: Promise<void> = Promise.resolve();

  constructor(name: string, handler: EventHandler, options: Required<HubOptions>) {
    this.#name = name;
    this.#handler = handler;
    this.#options = options;
  }

  get counts(): SubscriberCounts {
    return { subscriber: this.#name, ...this.#counts, waiting: this.#waiting.length };
  }

  offer(event: NodeEvent): void {
    this.#waiting.push(event);
    if (this.#waiting.length > this.#options.capacity) {
      this.#waiting.shift();
      this.#counts.dropped += 1;
    }
    if (!this.#isDelivering) this.#delivering = this.#deliver();
  }

  async drain(): Promise<void> {
    const ended = new AbortController();
    const limit = sleep(DRAIN_MS, undefined, { signal: ended.signal }).catch(() => undefined);
    await Promise.race([this.#delivering, limit]);
    ended.abort();
  }

  close(): void {
    this.#waiting.length = 0;
  }

  async #deliver(): Promise<void> {
    this.#isDelivering = true;
    // The publisher finishes first.
    await Promise.resolve();
    try {
      for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift())
        await this.#handle(event);
    } finally {
      this.#isDelivering = false;
    }
  }

  async #handle(event: NodeEvent): Promise<void> {
    try {
      await this.#handler(event);
      this.#counts.delivered += 1;
    } catch (error) {
      this.#options.onError(this.#name, error);
    }
  }
}
