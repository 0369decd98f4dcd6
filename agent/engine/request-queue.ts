/**
 * The queue of one executor: one job runs at a time, the others wait in order of priority, then of arrival.
 *
 * - A job that is still waiting when its deadline passes is answered so and never runs. One that runs is not stopped.
 * - At most `maxWaiting` requests and snapshots are in the queue, the running one included; more are refused at once. One
 *   client may have three quarters of them, so that it doesn't shut the others out.
 * - Frames and upkeep (replacing an executor) are the node's own work. They are never refused for want of room and take
 *   none: a camera has one frame here at most, and strangers can't make it fail. Upkeep goes first.
 * - Snapshots go last: they are drawn when no inference waits.
 */

export type JobKind = 'frame' | 'request' | 'upkeep' | 'snapshot';

const KINDS = ['frame', 'request', 'upkeep', 'snapshot'] as const satisfies readonly JobKind[];

/** The queue is full or closed; the same job may be accepted later. */
export class BusyError extends Error {
  override readonly name: string = 'BusyError';
  readonly code = 'BUSY';
}

/** The client has its share of the queue; others may still be accepted. */
export class ShareError extends BusyError {
  override readonly name = 'ShareError';
}

/** The model was suspended after the job was accepted. */
export class SuspendedError extends BusyError {
  override readonly name = 'SuspendedError';
}

/** The job's deadline passed before its turn came. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  readonly code = 'DEADLINE';
}

export interface JobOptions {
  readonly kind: JobKind;
  /** Who asks; absent for the node's own work. */
  readonly client?: string;
  /** Higher goes first; 0 by default. */
  readonly priority?: number;
  /** Milliseconds from now until which the job must have begun. */
  readonly deadlineMs?: number;
  /** Takes the job out of the queue while it waits. */
  readonly signal?: AbortSignal;
}

/** Jobs of one kind: those in the queue now, and what became of the others since the start. */
export interface JobCounts {
  readonly waiting: number;
  readonly running: number;
  readonly done: number;
  readonly failed: number;
  readonly refused: number;
  readonly expired: number;
  readonly cancelled: number;
}

type Fate = 'done' | 'failed' | 'refused' | 'expired' | 'cancelled';

interface Job {
  readonly kind: JobKind;
  readonly client: string | undefined;
  readonly priority: number;
  /** Time by a clock that doesn't jump after which the job doesn't begin. */
  readonly expiresAtMs: number;
  /** Runs the work and settles the caller's promise; never rejects. */
  readonly run: () => Promise<Fate>;
  readonly reject: (error: unknown) => void;
  /** Releases timer and listener. */
  readonly disarm: () => void;
}

/** Longest time that a timer can wait: Node.js takes a longer one for 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Kinds that are bounded by what makes them. */
const OWN: readonly JobKind[] = ['frame', 'upkeep'];

/** Part of the places that one client may have. */
const SHARE = 0.75;

/** Priorities of kinds that choose none. */
const PRIORITIES: Partial<Record<JobKind, number>> = {
  upkeep: Number.POSITIVE_INFINITY,
  snapshot: Number.NEGATIVE_INFINITY,
};

export class RequestQueue {
  readonly #maxWaiting: number;
  /** Jobs in the order in which they will run. */
  readonly #waiting: Job[] = [];
  #running: Job | undefined;
  #closed: string | undefined;
  readonly #fates: Record<JobKind, Record<Fate, number>>;
  #onIdle: (() => void)[] = [];

  constructor({ maxWaiting }: { readonly maxWaiting: number }) {
    this.#maxWaiting = maxWaiting;
    const none = () => ({ done: 0, failed: 0, refused: 0, expired: 0, cancelled: 0 });
    this.#fates = { frame: none(), request: none(), upkeep: none(), snapshot: none() };
  }

  get counts(): Readonly<Record<JobKind, JobCounts>> {
    const countsOf = (kind: JobKind): JobCounts => ({
      waiting: this.#waiting.filter((job) => job.kind === kind).length,
      running: this.#running?.kind === kind ? 1 : 0,
      ...this.#fates[kind],
    });
    return Object.fromEntries(KINDS.map((kind) => [kind, countsOf(kind)])) as Record<JobKind, JobCounts>;
  }

  /**
   * Runs the work when its turn comes.
   * @throws {BusyError} if the queue is full or closed; {DeadlineError} if the deadline passes first; the signal's
   * reason if it aborts first; and what the work throws.
   */
  async add<T>(options: JobOptions, work: () => Promise<T>): Promise<T> {
    this.#admit(options);
    return new Promise<T>((resolve, reject) => {
      const job: Job = {
        kind: options.kind,
        client: options.client,
        priority: PRIORITIES[options.kind] ?? options.priority ?? 0,
        // A timer's resolution is a millisecond.
        expiresAtMs: performance.now() + (options.deadlineMs ?? Number.POSITIVE_INFINITY) + 1,
        run: () => settle(work, { resolve, reject }),
        reject,
        disarm: this.#arm(options, () => job),
      };
      this.#insert(job);
      void this.#runNext();
    });
  }

  /** Opens a queue that was closed. */
  open(): void {
    this.#closed = undefined;
  }

  /** Refuses the jobs that wait and all later ones; resolves when the running one has ended. */
  async close(reason: string): Promise<void> {
    this.#closed = reason;
    for (const job of [...this.#waiting])
      this.#remove(job, 'cancelled', new BusyError(`Cannot run: ${reason}`));
    await this.drain();
  }

  /** Resolves when nothing runs and nothing waits. */
  async drain(): Promise<void> {
    if (this.#running === undefined && this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  #admit(options: JobOptions): void {
    options.signal?.throwIfAborted();
    const refusal = this.#refusalOf(options);
    if (refusal === undefined) return;
    this.#fates[options.kind].refused += 1;
    throw refusal;
  }

  #refusalOf({ kind, client }: JobOptions): BusyError | undefined {
    if (this.#closed !== undefined) return new BusyError(`Cannot run: ${this.#closed}`);
    if (OWN.includes(kind)) return undefined;
    const all = this.#running === undefined ? this.#waiting : [this.#running, ...this.#waiting];
    const jobs = all.filter((job) => !OWN.includes(job.kind));
    const [most, share] = [this.#maxWaiting, Math.ceil(SHARE * this.#maxWaiting)];
    const own = client === undefined ? 0 : jobs.filter((job) => job.client === client).length;
    if (own >= share)
      return new ShareError(
        `Cannot run: ${own} jobs of this client wait already, expected fewer than ${share}`,
      );
    return jobs.length >= most
      ? new BusyError(`Cannot run: ${jobs.length} jobs wait already, expected fewer than ${most}`)
      : undefined;
  }

  /** Timer and listener that take the job out while it waits. @returns what releases them. */
  #arm({ deadlineMs, signal }: JobOptions, job: () => Job): () => void {
    const expire = () => this.#remove(job(), 'expired', expiry());
    const cancel = () => this.#remove(job(), 'cancelled', signal?.reason);
    const hasTimer = deadlineMs !== undefined && deadlineMs <= LONGEST_TIMER_MS;
    const timer = hasTimer ? setTimeout(expire, Math.max(0, deadlineMs)) : undefined;
    signal?.addEventListener('abort', cancel, { once: true });
    return () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
    };
  }

  #insert(job: Job): void {
    const next = this.#waiting.findIndex(({ priority }) => priority < job.priority);
    this.#waiting.splice(next < 0 ? this.#waiting.length : next, 0, job);
  }

  #remove(job: Job, fate: Fate, error: unknown): void {
    const at = this.#waiting.indexOf(job);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    job.disarm();
    this.#fates[job.kind][fate] += 1;
    job.reject(error);
    this.#reportIdle();
  }

  async #runNext(): Promise<void> {
    if (this.#running !== undefined) return;
    const job = this.#waiting.shift();
    if (job === undefined) return;
    this.#running = job;
    job.disarm();
    this.#fates[job.kind][await runUnlessExpired(job)] += 1;
    this.#running = undefined;
    void this.#runNext();
    this.#reportIdle();
  }

  #reportIdle(): void {
    if (this.#running !== undefined || this.#waiting.length > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

/** The timer may be late when the event loop was busy. */
async function runUnlessExpired({ expiresAtMs, run, reject }: Job): Promise<Fate> {
  if (performance.now() <= expiresAtMs) return run();
  reject(expiry());
  return 'expired';
}

function expiry(): DeadlineError {
  return new DeadlineError('Cannot run: its turn did not come before its deadline');
}

interface Caller<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

async function settle<T>(work: () => Promise<T>, { resolve, reject }: Caller<T>): Promise<Fate> {
  try {
    resolve(await work());
    return 'done';
  } catch (error) {
    reject(error);
    return 'failed';
  }
}
