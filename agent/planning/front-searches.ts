/**
 * The searches for fronts: one at a time for the whole agent, each in a process of its own.
 *
 * - Where the board has room for it, a search runs beside the executor; else it takes the executor's place, after a
 *   while in which plans by rule answer the first requests.
 * - Under pressure a search that runs beside ends at once, and is tried again.
 * - A search that failed is tried again after a pause that doubles.
 */
import { readProcessMemory } from '../board/process-memory.js';
import type { FrontJob, FrontSummary, SearchOptions } from './search.js';
import { searchFrontOf } from './search.js';

/** A model whose front is wanted. */
export interface FrontWanted {
  readonly name: string;
  readonly job: Omit<FrontJob, 'kind'>;
}

export interface FrontSearchesOptions {
  readonly onFound: (name: string, front: FrontSummary) => void;
  readonly onFailed: (name: string, error: unknown, retryMs: number) => void;
  /** Bytes that are free beside the plans in force. */
  readonly roomBytes: () => number;
  /** Ends the executor, and does the work in its place. */
  readonly lend: <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>;
  /** Tests give their own. */
  readonly search?: (job: Omit<FrontJob, 'kind'>, options: SearchOptions) => Promise<FrontSummary>;
}

/** Private memory of a searching process: about twice what YOLOv2 and a network of 200 nodes took, 35 to 45 MB. */
const SEARCH_BYTES = 80 * 2 ** 20;

/** Time for first answers before a search takes the executor's place. */
const FIRST_ANSWERS_MS = 8_000;

const RETRY_MS = { least: 60_000, most: 3_600_000 } as const;

interface Request {
  readonly wanted: FrontWanted;
  /** Time by a clock that doesn't jump. */
  notBeforeMs: number;
  retryMs: number;
}

interface Running {
  readonly request: Request;
  readonly abort: AbortController;
  /** Whether the executor runs, too. */
  readonly isBeside: boolean;
  pid: number | undefined;
}

/** The search ended so that its memory could be used otherwise. */
const YIELDED = new Error('Cannot search: memory is short');

export class FrontSearches {
  readonly #options: FrontSearchesOptions;
  readonly #requests = new Map<string, Request>();
  #running: Running | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: FrontSearchesOptions) {
    this.#options = options;
  }

  /** Private memory of a search that runs beside the executor, in bytes. It ends with the search. */
  get privateBytes(): number {
    const { pid, isBeside } = this.#running ?? {};
    if (pid === undefined || isBeside !== true) return 0;
    try {
      return readProcessMemory(pid).rssAnonBytes;
    } catch {
      // It has just ended.
      return 0;
    }
  }

  /** Process id of the search that runs. */
  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** Asks for the front of a model. A search for it that runs or waits is obsolete. */
  request(wanted: FrontWanted): void {
    if (this.#running?.request.wanted.name === wanted.name) this.#running.abort.abort(new Error('obsolete'));
    const nowMs = performance.now();
    this.#requests.set(wanted.name, { wanted, notBeforeMs: nowMs, retryMs: RETRY_MS.least });
    this.#next();
  }

  /** Ends a search that runs beside the executor; it is tried again. */
  yieldMemory(): void {
    if (this.#running?.isBeside === true) this.#running.abort.abort(YIELDED);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#requests.clear();
    this.#running?.abort.abort(new Error('the agent stops'));
  }

  /** Starts the first search that is due, unless one runs. */
  #next(): void {
    clearTimeout(this.#timer);
    if (this.#running !== undefined || this.#isStopped) return;
    const [first] = [...this.#requests.values()].sort((a, b) => a.notBeforeMs - b.notBeforeMs);
    if (first === undefined) return;
    const isBeside = this.#options.roomBytes() >= SEARCH_BYTES;
    const waitMs = first.notBeforeMs + (isBeside ? 0 : FIRST_ANSWERS_MS) - performance.now();
    if (waitMs <= 0) void this.#run(first, isBeside);
    else this.#timer = setTimeout(() => this.#next(), waitMs).unref();
  }

  async #run(request: Request, isBeside: boolean): Promise<void> {
    const { wanted } = request;
    const { onFound, lend } = this.#options;
    const running: Running = { request, abort: new AbortController(), isBeside, pid: undefined };
    this.#running = running;
    try {
      const front = await (isBeside
        ? this.#search(running)
        : lend((signal) => this.#search(running, signal)));
      if (this.#requests.get(wanted.name) === request) this.#requests.delete(wanted.name);
      if (!running.abort.signal.aborted) onFound(wanted.name, front);
    } catch (error) {
      this.#fail(running, error);
    } finally {
      this.#running = undefined;
      this.#next();
    }
  }

  #search(running: Running, lender?: AbortSignal): Promise<FrontSummary> {
    const { search = searchFrontOf } = this.#options;
    lender?.addEventListener('abort', () => running.abort.abort(lender.reason), { once: true });
    const onStart = (pid: number) => {
      running.pid = pid;
    };
    return search(running.request.wanted.job, { signal: running.abort.signal, onStart });
  }

  /** A request that took this one's place has its own time. */
  #fail({ request, abort }: Running, error: unknown): void {
    if (this.#isStopped || this.#requests.get(request.wanted.name) !== request) return;
    request.notBeforeMs = performance.now() + request.retryMs;
    if (abort.signal.reason !== YIELDED) this.#options.onFailed(request.wanted.name, error, request.retryMs);
    request.retryMs = Math.min(2 * request.retryMs, RETRY_MS.most);
  }
}
