/**
 * Logs what may happen again and again: at once, and then once an interval with the number of times, for as long as it
 * goes on. Entries that differ in numbers only count as the same.
 */

export interface RepeatedLogOptions {
  readonly write: (about: object, message: string) => void;
  /** Time between two entries of one kind. */
  readonly intervalMs?: number;
}

interface Entry {
  about: object;
  readonly message: string;
  /** Times since the last that was logged. */
  times: number;
  timer: NodeJS.Timeout;
}

const MINUTE_MS = 60_000;

/** Kinds that are counted at once; of more, the oldest is logged and forgotten. */
const MAX_KINDS = 64;

export class RepeatedLog {
  readonly #options: Required<RepeatedLogOptions>;
  readonly #entries = new Map<string, Entry>();

  constructor(options: RepeatedLogOptions) {
    this.#options = { intervalMs: MINUTE_MS, ...options };
  }

  /** Logs an entry, or counts it. */
  note(about: object, message: string): void {
    const key = `${message} ${JSON.stringify(about)}`.replace(/\d+/g, '#');
    const known = this.#entries.get(key);
    if (known !== undefined) {
      known.about = about;
      known.times += 1;
      return;
    }
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined && this.#entries.size >= MAX_KINDS) this.#forget(oldest);
    this.#options.write(about, message);
    this.#entries.set(key, { about, message, times: 0, timer: this.#later(key) });
  }

  /** Logs what was only counted so far. May be called again. */
  stop(): void {
    for (const key of [...this.#entries.keys()]) this.#forget(key);
  }

  #later(key: string): NodeJS.Timeout {
    return setTimeout(() => this.#summarize(key), this.#options.intervalMs).unref();
  }

  /** An interval without the entry ends its counting. */
  #summarize(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    if (entry.times === 0) this.#entries.delete(key);
    else {
      this.#write(entry);
      entry.timer = this.#later(key);
    }
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    clearTimeout(entry.timer);
    this.#entries.delete(key);
    if (entry.times > 0) this.#write(entry);
  }

  #write(entry: Entry): void {
    this.#options.write({ ...entry.about, times: entry.times }, entry.message);
    entry.times = 0;
  }
}
