/**
 * Hands the node's events to their subscribers.
 *
 * - `publish` only queues: no subscriber runs in the middle of the publisher's work, and none can make it fail.
 * - Each subscriber has a queue of its own, in order of publishing. While it is busy and its queue is full, the oldest
 *   event in it is dropped and counted; a slow subscriber delays nobody else.
 */
import type { NodeEvent } from './node-event.js';

/** Events that a subscriber may be behind: a minute of one camera at 4 frames a second. */
const CAPACITY = 256;

export interface HubOptions {
  /** Events that wait for one subscriber at most. */
  readonly capacity?: number;
  /** Told what a subscriber threw; the subscriber goes on with the next event. */
  readonly onError: (subscriber: string, error: unknown) => void;
}

export type EventHandler = (event: NodeEvent) => void | Promise<void>;

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

  /** @param name tells subscribers apart in counts and errors. @returns what ends the subscription. */
  subscribe(name: string, handler: EventHandler): () => void {
    const subscriber = new Subscriber(name, handler, this.#options);
    this.#subscribers.add(subscriber);
    return () => {
      subscriber.close();
      this.#subscribers.delete(subscriber);
    };
  }

  get counts(): readonly SubscriberCounts[] {
    return [...this.#subscribers].map(({ counts }) => counts);
  }

  /** Resolves when all events published so far were handled or dropped. */
  async drain(): Promise<void> {
    await Promise.all([...this.#subscribers].map((subscriber) => subscriber.delivering));
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
  delivering: Promise<void> = Promise.resolve();

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
    if (!this.#isDelivering) this.delivering = this.#deliver();
  }

  close(): void {
    this.#waiting.length = 0;
  }

  async #deliver(): Promise<void> {
    this.#isDelivering = true;
    // The publisher finishes first.
    await Promise.resolve();
    for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) {
      try {
        await this.#handler(event);
        this.#counts.delivered += 1;
      } catch (error) {
        this.#options.onError(this.#name, error);
      }
    }
    this.#isDelivering = false;
  }
}
