/**
 * Messages that must reach the broker, as a feature: what it can't have now waits in the store and is sent when it is
 * back, oldest first. Each message says itself when it was made.
 *
 * The spool is bounded: beyond its size or age the oldest messages are dropped and counted. Messages are written
 * together, a few seconds' worth at once, to spare SD cards; a power cut loses those.
 */
export interface SpooledMessage {
  readonly id: number;
  /** When it was made. */
  readonly atMs: number;
  readonly topic: string;
  readonly payload: string;
}

export interface SpoolOptions {
  readonly connection: {
    readonly isConnected: boolean;
    /** @returns whether the broker has it. @throws {RangeError} if it can't be sent at all. */
    deliver(topic: string, payload: string): Promise<boolean>;
    onConnect(handle: () => void): void;
  };
  readonly store: {
    addSpooled(messages: readonly Omit<SpooledMessage, 'id'>[]): boolean;
    oldestSpooled(limit: number): readonly SpooledMessage[];
    dropSpooled(ids: readonly number[]): void;
    spooledSize(): { readonly count: number; readonly bytes: number };
  };
  /** Told what can't be sent to this broker at all. */
  readonly onRefused: (topic: string, reason: string) => void;
}

export interface SpoolState {
  readonly waiting: number;
  readonly waitingBytes: number;
  /** Messages that were dropped for want of room, or for their age. */
  readonly dropped: number;
}

const LIMITS = { bytes: 8 * 2 ** 20, ageMs: 24 * 60 * 60_000 } as const;

/** Messages that are on their way at once; the others wait in the store. */
const MAX_ON_THE_WAY = 128;

/** Messages that are written or sent at once, and the time between two writes. */
const BATCH = { messages: 64, ms: 5000 } as const;

export class Spool {
  readonly #options: SpoolOptions;
  readonly #unwritten: Omit<SpooledMessage, 'id'>[] = [];
  #size = { count: 0, bytes: 0 };
  #dropped = 0;
  #onTheWay = 0;
  #timer: NodeJS.Timeout | undefined;
  #draining: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: SpoolOptions) {
    this.#options = options;
  }

  get state(): SpoolState {
    const unwrittenBytes = this.#unwritten.reduce((sum, { payload }) => sum + payload.length, 0);
    return {
      waiting: this.#size.count + this.#unwritten.length,
      waitingBytes: this.#size.bytes + unwrittenBytes,
      dropped: this.#dropped,
    };
  }

  start(): void {
    const { connection, store } = this.#options;
    this.#size = store.spooledSize();
    this.#timer = setInterval(() => this.#write(), BATCH.ms);
    connection.onConnect(() => this.#drainSoon());
    if (connection.isConnected) this.#drainSoon();
  }

  /** What is on its way is waited for, then written if the broker doesn't have it. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#draining;
    this.#write();
  }

  /** Sends a message now, or keeps it until it can be sent. */
  publish(topic: string, payload: string): void {
    const message = { atMs: Date.now(), topic, payload };
    const isFree = this.#options.connection.isConnected && this.#onTheWay < MAX_ON_THE_WAY;
    if (isFree && this.state.waiting === 0) void this.#send(message);
    else this.#keep(message);
  }

  async #send(message: Omit<SpooledMessage, 'id'>): Promise<void> {
    if (!(await this.#deliver(message))) this.#keep(message);
  }

  /** @returns whether the message is done with: the broker has it, or will never take it. */
  async #deliver({ topic, payload }: Omit<SpooledMessage, 'id'>): Promise<boolean> {
    this.#onTheWay += 1;
    try {
      return await this.#options.connection.deliver(topic, payload);
    } catch (error) {
      this.#options.onRefused(topic, error instanceof Error ? error.message : String(error));
      return true;
    } finally {
      this.#onTheWay -= 1;
    }
  }

  #keep(message: Omit<SpooledMessage, 'id'>): void {
    this.#unwritten.push(message);
    if (this.#unwritten.length >= BATCH.messages || this.#isStopped) this.#write();
    // The connection may have come back while the message was on its way.
    if (this.#options.connection.isConnected) this.#drainSoon();
  }

  #write(): void {
    const messages = this.#unwritten.splice(0);
    if (messages.length > 0 && !this.#options.store.addSpooled(messages)) this.#dropped += messages.length;
    if (messages.length > 0) this.#size = this.#options.store.spooledSize();
    this.#trim();
  }

  #trim(): void {
    const { store } = this.#options;
    const oldestMs = Date.now() - LIMITS.ageMs;
    while (this.#size.count > 0) {
      const [...batch] = store.oldestSpooled(BATCH.messages);
      const isOver = this.#size.bytes > LIMITS.bytes;
      const surplus = isOver ? batch : batch.filter(({ atMs }) => atMs < oldestMs);
      if (surplus.length === 0) return;
      this.#dropped += surplus.length;
      this.#forget(surplus);
    }
  }

  #forget(messages: readonly SpooledMessage[]): void {
    this.#options.store.dropSpooled(messages.map(({ id }) => id));
    this.#size = this.#options.store.spooledSize();
  }

  #drainSoon(): void {
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined;
    });
  }

  /** Ends when nothing waits, or the connection is lost; the next one goes on. */
  async #drain(): Promise<void> {
    const { connection, store } = this.#options;
    this.#write();
    while (connection.isConnected && !this.#isStopped) {
      const batch = store.oldestSpooled(MAX_ON_THE_WAY);
      if (batch.length === 0) return;
      const sent = await Promise.all(batch.map((message) => this.#deliver(message)));
      this.#forget(batch.filter((_, at) => sent[at]));
      if (sent.includes(false)) return;
      this.#write();
    }
  }
}
