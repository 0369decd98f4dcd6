/** The agent's handle of an executor process: starts it, asks it, measures it, ends it. */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Allocator } from '../../shared/predict/index.js';
import { forkDisposable } from '../board/disposable-child.js';
import type { ExecutorGroup } from '../board/executor-group.js';
import { measureIdle, PeakMeter } from '../board/process-memory.js';
import type { FoundAllocator } from './allocator.js';
import { findAllocator } from './allocator.js';
import type { EndReason, ExecutorEnd } from './executor-end.js';
import { EndWitness } from './executor-end.js';
import type { AskOptions, Executor } from './wire/executor.js';
import type { ReceivedMessage } from './wire/executor-channel.js';
import { ExecutorChannel } from './wire/executor-channel.js';
import { InputError } from './wire/input-error.js';
import { InterruptedError } from './wire/interrupted-error.js';
import type { Answers, Request } from './wire/protocol.js';
import { TRANSFER_FLAGS } from './wire/typed-array.js';

/** The executor ended or hung; the request is lost, and a new executor is needed. */
export class ExecutorError extends Error {
  override readonly name = 'ExecutorError';
  readonly code = 'EXECUTOR_LOST';
  readonly reason: EndReason;

  constructor(message: string, reason: EndReason = 'stopped') {
    super(message);
    this.reason = reason;
  }
}

export interface ExecutorOptions {
  /** The group that it runs in; by default it runs in the agent's. */
  readonly group?: ExecutorGroup;
}

/** Since 1.29 ONNX Runtime reports to its maker and leaves files in /tmp and ~/.cache; this switches it off. */
const PRIVACY_ENVIRONMENT = { ORT_DISABLE_TELEMETRY: '1' };

/**
 * A small young generation, since runs leave little garbage. V8 on one thread: its background threads leave memory of
 * their own, which made the idle executor anything from 22 to 33 MB (nine starts; 22 to 23 without them).
 */
const NODE_FLAGS = [
  '--expose-gc',
  '--max-semi-space-size=1',
  '--single-threaded',
  '--v8-pool-size=1',
  ...TRANSFER_FLAGS,
];

/** Longer than the slowest work on the slowest known board; an executor that ends is noticed at once. */
const DEFAULT_DEADLINE_MS = 10 * 60_000;

/** While it is idle the executor is asked for a sign of life, so that one that hangs is noticed within ten seconds. */
const PULSE = { intervalMs: 3000, deadlineMs: 6000 } as const;

/** Time for messages that came while the agent itself stood still, by a suspended board for example. */
const LATE_MS = 500;

/** Time in which ONNX Runtime is loaded from a slow SD card. */
const START_MS = 60_000;

/** Time in which the executor may end by itself before it is killed. */
const STOP_MS = 2000;

/** Time in which the end of a process is reported after its channel broke. */
const EXIT_MS = 1000;

interface Pending {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: (step: number, steps: number) => void;
}

const ERROR_CLASSES: Readonly<Record<string, new (message: string) => Error>> = {
  InputError,
  InterruptedError,
  RangeError,
  SyntaxError,
  TypeError,
};

/**
 * Idle memory by allocator. It belongs to the program and the machine, so the first executor of a process measures it:
 * one that replaces another needn't wait for its unused pages to go.
 */
const IDLE_BYTES = new Map<Allocator, number>();

/** Private memory of an executor without a model, in bytes; 0 until one was measured. */
export function idleBytesOf(allocator = findAllocator().kind): number {
  return IDLE_BYTES.get(allocator) ?? 0;
}

export class ExecutorClient implements Executor {
  readonly allocator: Allocator;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #group: ExecutorGroup | undefined;
  #child: ChildProcess | undefined;
  #channel: ExecutorChannel | undefined;
  #idleBytes = 0;
  #nextId = 1;
  #pulse: NodeJS.Timeout | undefined;
  readonly #pending = new Map<number, Pending>();
  #ended: ExecutorError | undefined;
  #endNow: (reason: string) => void = () => undefined;
  readonly #whenEnded = new Promise<string>((resolve) => {
    this.#endNow = resolve;
  });

  /** @param found by default the best allocator that the board has. */
  constructor({ kind, environment }: FoundAllocator = findAllocator(), { group }: ExecutorOptions = {}) {
    this.allocator = kind;
    this.#environment = environment;
    this.#group = group;
  }

  /** Private memory after ONNX Runtime's start, before any model. */
  get idleBytes(): number {
    return this.#idleBytes;
  }

  /** Resolves when the executor is idle and measured. @throws {ExecutorError} if it can't start. */
  async start(): Promise<void> {
    const witness = new EndWitness(this.#group);
    const child = forkDisposable(new URL('./child/executor-process.js', import.meta.url), {
      role: 'executor',
      execArgv: NODE_FLAGS,
      env: { ...process.env, ...this.#environment, ...PRIVACY_ENVIRONMENT },
      procsFile: this.#group?.procsFile,
      hasBytesPipe: true,
    });
    this.#child = child;
    const channel = new ExecutorChannel(child);
    this.#channel = channel;
    const timer = setTimeout(() => this.#kill('hung', `not ready after ${START_MS} ms`), START_MS);
    const ready = new Promise<void>((resolve, reject) => {
      child.on('error', (error) => {
        this.#lose({ reason: 'crashed', text: error.message });
        reject(this.#ended);
      });
      child.on('exit', (code, signal) => {
        this.#lose(witness.explain(code, signal));
        reject(this.#ended);
      });
      channel.onMessage((message) => {
        if (message.kind === 'ready') resolve();
        else this.#receive(message);
      });
      channel.onGarbage((text) => this.#kill('garbage', text));
    });
    await ready.finally(() => clearTimeout(timer));
    this.#group?.confirm(this.pid);
    this.#idleBytes = IDLE_BYTES.get(this.allocator) ?? (await measureIdle(this.pid));
    IDLE_BYTES.set(this.allocator, this.#idleBytes);
    this.#pulse = setInterval(() => this.#feelPulse(), PULSE.intervalMs).unref();
  }

  /** A busy executor gives signs of life itself. */
  #feelPulse(): void {
    if (this.#pending.size > 0) return;
    this.ask({ kind: 'ping' }, { deadlineMs: PULSE.deadlineMs }).catch(() => undefined);
  }

  /** Resolves with the reason when the executor has ended, by itself or not. */
  get ended(): Promise<string> {
    return this.#whenEnded;
  }

  /** How the executor ended; undefined while it lives. */
  get endedBy(): ExecutorError | undefined {
    return this.#ended;
  }

  /** Ends the executor; by force if it is busy. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const isBusy = this.#pending.size > 0;
    const exited = once(child, 'exit');
    this.#lose({ reason: 'stopped', text: 'stopped' });
    const timer = setTimeout(() => child.kill('SIGKILL'), isBusy ? 0 : STOP_MS);
    if (child.connected) child.disconnect();
    await exited;
    clearTimeout(timer);
  }

  /** A meter for the executor's working memory. */
  createMeter(): PeakMeter {
    return new PeakMeter(this.pid, { idleBytes: this.#idleBytes });
  }

  /**
   * @throws {ExecutorError} if the executor ends, hangs or the signal aborts.
   * @throws {RangeError | SyntaxError | TypeError | Error} the executor's own, for a request it refuses.
   */
  async ask<K extends Request['kind']>(
    request: Extract<Request, { kind: K }>,
    { deadlineMs = DEFAULT_DEADLINE_MS, onProgress, signal }: AskOptions = {},
  ): Promise<Answers[K]> {
    const channel = this.#channel;
    if (channel === undefined) throw new ExecutorError('Executor lost: it was never started');
    if (this.#ended !== undefined) throw this.#ended;
    signal?.throwIfAborted();
    const id = this.#nextId;
    this.#nextId += 1;
    let lateTimer: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => {
      lateTimer = setTimeout(() => this.#kill('hung', `no sign of life for ${deadlineMs} ms`), LATE_MS);
    }, deadlineMs);
    const abort = () => this.#kill('aborted', 'aborted');
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await new Promise<Answers[K]>((resolve, reject) => {
        this.#pending.set(id, {
          resolve,
          reject,
          onProgress: (step, steps) => {
            clearTimeout(lateTimer);
            timer.refresh();
            onProgress?.(step, steps);
          },
        });
        channel.send(id, request, (error) => error && this.#loseSoon(error.message));
      });
    } finally {
      clearTimeout(timer);
      clearTimeout(lateTimer);
      signal?.removeEventListener('abort', abort);
      this.#pending.delete(id);
    }
  }

  /** Ends a run that is going on after its step; it fails with `InterruptedError`. */
  interrupt(): void {
    if (this.#ended === undefined) this.#channel?.interrupt();
  }

  /** Process id, 0 before it is started. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  #receive(message: Exclude<ReceivedMessage, { kind: 'ready' }>): void {
    if (message.kind === 'progress') {
      // One request runs and the others wait for it, so the sign of life counts for all.
      for (const { onProgress } of this.#pending.values()) onProgress(message.step, message.steps);
      return;
    }
    const pending = this.#pending.get(message.id);
    if (message.kind === 'answer') pending?.resolve(message.answer as never);
    else pending?.reject(new (ERROR_CLASSES[message.name] ?? Error)(message.message));
  }

  /** A broken channel means that the process ends, which says why; one that doesn't end is killed. */
  #loseSoon(text: string): void {
    setTimeout(() => this.#kill('crashed', text), EXIT_MS).unref();
  }

  #kill(reason: EndReason, text: string): void {
    this.#lose({ reason, text });
    this.#child?.kill('SIGKILL');
  }

  #lose({ reason, text }: ExecutorEnd): void {
    clearInterval(this.#pulse);
    this.#ended ??= new ExecutorError(`Executor lost: ${text}`, reason);
    this.#endNow(text);
    for (const { reject } of this.#pending.values()) reject(this.#ended);
  }
}

/** A new executor, idle and measured. @throws {ExecutorError} if it can't start. */
export async function startExecutor(
  found?: FoundAllocator,
  options?: ExecutorOptions,
): Promise<ExecutorClient> {
  const executor = new ExecutorClient(found, options);
  await executor.start();
  return executor;
}
