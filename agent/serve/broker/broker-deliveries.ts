/**
 * Bounds the messages and bytes that the embedded broker is delivering. A message counts from its publication
 * until each subscriber's socket has taken it. All messages pass the emitter inside aedes, which is wrapped
 * here.
 *
 * Without the bound a few subscribers that don't read would end the process. The emitter (mqemitter) holds
 * back all messages in a list without a limit once 100 deliveries hang. It drains the list by recursion,
 * which overflows the stack. With the bound that list isn't needed, and the emitter's own `concurrency` must
 * be 0.
 */

export interface Message {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  /** Client id of the publisher; absent if that is the broker itself. */
  readonly clientId?: string;
}

export type Done = (error?: Error | null) => void;

export interface Emitter {
  emit(message: Message, done?: Done): unknown;
}

export interface DeliveryOptions {
  /** Most messages of all clients together. The agent may have as many again. */
  readonly maxMessages: number;
  /** Most bytes of all clients together. The agent may have as many again. */
  readonly maxBytes: number;
  readonly isAgent: (clientId: string) => boolean;
  /** Called for each message of the agent that is dropped for lack of room. */
  readonly onLost: (reason: string) => void;
}

export function boundDeliveries(emitter: Emitter, options: DeliveryOptions): void {
  const deliveries = new Deliveries(emitter.emit.bind(emitter), options);
  emitter.emit = (message, done = () => undefined) => deliveries.emit(message, done);
}

class Deliveries {
  readonly #emit: Emitter['emit'];
  readonly #options: DeliveryOptions;
  #messages = 0;
  #bytes = 0;

  constructor(emit: Emitter['emit'], options: DeliveryOptions) {
    this.#emit = emit;
    this.#options = options;
  }

  emit(message: Message, done: Done): void {
    const { clientId, topic } = message;
    if (isNews(topic)) setImmediate(done);
    else if (clientId === undefined) this.#deliver(message, done);
    else if (this.#options.isAgent(clientId)) this.#emitOfAgent(message, done);
    else this.#emitOfClient(message, done);
  }

  /**
   * Publishes a message of the agent. It never waits: a reader that has stopped must not delay messages to
   * others.
   */
  #emitOfAgent(message: Message, done: Done): void {
    const fault = this.#findFault(message, 2);
    if (fault === undefined) this.#deliver(message, () => undefined);
    else this.#options.onLost(fault);
    setImmediate(done);
  }

  /**
   * Publishes a message of a client. The client's next one is read after this one; an error makes aedes cut
   * it off.
   */
  #emitOfClient(message: Message, done: Done): void {
    const fault = this.#findFault(message, 1);
    if (fault === undefined) this.#deliver(message, done);
    else setImmediate(done, new Error(fault));
  }

  #findFault({ payload }: Message, share: number): string | undefined {
    const { maxMessages, maxBytes } = this.#options;
    return this.#messages >= maxMessages * share || this.#bytes + payload.length > maxBytes * share
      ? `no room to publish: ${this.#messages} messages of ${this.#bytes} bytes wait for their readers`
      : undefined;
  }

  #deliver(message: Message, done: Done): void {
    const bytes = message.payload.length;
    this.#messages += 1;
    this.#bytes += bytes;
    this.#emit(message, (error) => {
      this.#messages -= 1;
      this.#bytes -= bytes;
      // A new stack, since the client's next message is read from within this call.
      setImmediate(done, error);
    });
  }
}

/**
 * Whether a message is news of clients from aedes to other brokers. There are none, and no client may read
 * the news. A client that subscribes again and again could fill the queue with them. The heartbeat, once a
 * minute, must stay: without it aedes takes itself for dead and publishes the wills of connected clients.
 */
function isNews(topic: string): boolean {
  return topic.startsWith('$SYS/') && !topic.endsWith('/heartbeat');
}
