/**
 * Bounds what the embedded broker is delivering: messages and bytes, from when they are published until each
 * subscriber's socket has taken them. It wraps the emitter inside aedes, which all messages pass.
 *
 * Without it a few subscribers that don't read end the process: mqemitter holds back all messages once 100
 * deliveries hang, in a list without an end, and drains it by recursion, which overflows the stack. With it that
 * list isn't needed, and the emitter's own `concurrency` is to be 0.
 */

export interface Message {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  /** Of who published it; none if that is the broker. */
  readonly clientId?: string;
}

export type Done = (error?: Error | null) => void;

export interface Emitter {
  emit(message: Message, done?: Done): unknown;
}

export interface DeliveryOptions {
  /** For all clients together; the agent has as much again. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly isAgent: (clientId: string) => boolean;
  /** Told of each message of the agent that there was no room for. */
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

  /** It waits for nobody and loses the message: one reader that has stopped must not hold up the others' news. */
  #emitOfAgent(message: Message, done: Done): void {
    const fault = this.#findFault(message, 2);
    if (fault === undefined) this.#deliver(message, () => undefined);
    else this.#options.onLost(fault);
    setImmediate(done);
  }

  /** Its next messages are read when this one has been taken; aedes cuts it off by the error. */
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
      // On a stack of its own: the next message of the client is read from within this call.
      setImmediate(done, error);
    });
  }
}

/**
 * What aedes tells other brokers of its clients: there are none, and nobody may read it. A client could fill the
 * queue with it, by subscribing again and again. The heartbeat, once a minute, stays: without it aedes takes itself for dead and
 * publishes the wills of clients that live.
 */
function isNews(topic: string): boolean {
  return topic.startsWith('$SYS/') && !topic.endsWith('/heartbeat');
}
