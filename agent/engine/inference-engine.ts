/**
 * One executor that serves several models, one inference at a time.
 *
 * A model is run by the plan it was given last. A new plan counts from the next inference on; the running one ends
 * under the old. Switching between models loads sessions anew, while their weights stay in the page cache. If the
 * executor is lost it is replaced, and the inference is tried once more, so that no frame is lost with it.
 */
import type { Plan } from '../../shared/search/index.js';
import { readProcessMemory } from '../board/process-memory.js';
import { ModelOptimizer } from './blocked/model-optimizer.js';
import type { ExecutorClient } from './executor-client.js';
import { ExecutorError, startExecutor } from './executor-client.js';
import type { LoadableModel } from './load-plan.js';
import { loadPlan } from './load-plan.js';
import type { JobCounts, JobKind, JobOptions } from './request-queue.js';
import { RequestQueue } from './request-queue.js';
import type { ImageSource, RunResult, TensorSource } from './wire/protocol.js';

/** What the engine needs to run a model. */
export interface EngineModel extends LoadableModel {
  readonly name: string;
  /** Called before weights are mapped again. @throws {Error} if the files changed since the graph was read. */
  readonly checkFiles?: () => void;
}

export interface EngineOptions {
  /** Inferences that may wait, the running one included; more are refused. */
  readonly maxWaiting: number;
  /** Called when an executor was lost and replaced. */
  readonly onReplaced: (reason: string) => void;
  /** Called after each measured run: the first of a plan, then one in MEASURE_MS. */
  readonly onMeasured?: (measured: MeasuredRun) => void;
  /** Called when the weights of a model will be on the heap, with the reason; its plan may not count them. */
  readonly onUnmapped?: (model: string, reason: string) => void;
}

export interface MeasuredRun {
  readonly model: string;
  readonly plan: Plan;
  /** Peak of the executor's private memory above idle, loading included if the plan was new. */
  readonly workingBytes: number;
  readonly latencyMs: number;
}

/** Time between two measured runs of a plan. Reading memory every few milliseconds costs little, but something. */
const MEASURE_MS = 60_000;

export interface ExecutorMemory {
  /** Private memory that is not swapped out; the executor's end would free it. */
  readonly residentBytes: number;
  /** Private memory including swap. */
  readonly privateBytes: number;
  readonly idleBytes: number;
}

export interface EngineRun extends RunResult {
  readonly plan: Plan;
}

interface Planned {
  readonly model: EngineModel;
  readonly plan: Plan;
}

/** One input of a model, and whether the values of its outputs are wanted or their shapes alone. */
export interface EngineInput {
  readonly source: ImageSource | TensorSource;
  readonly outputs: 'values' | 'shapes';
}

export class InferenceEngine {
  readonly #options: EngineOptions;
  readonly #optimizer: ModelOptimizer;
  readonly #planned = new Map<string, Planned>();
  #executor: ExecutorClient | undefined;
  #loaded: Planned | undefined;
  /** Name of the model that is being loaded, or was loaded last. */
  #loading: string | undefined;
  /** Time of the last measured run of each plan. */
  readonly #measuredAtMs = new WeakMap<Planned, number>();
  readonly #queue: RequestQueue;
  #stopped = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#queue = new RequestQueue({ maxWaiting: options.maxWaiting });
    this.#optimizer = new ModelOptimizer({
      startExecutor,
      onFailed: (reason) => this.#reportUnmapped(reason),
    });
  }

  async start(): Promise<void> {
    this.#stopped = false;
    this.#queue.open();
    await this.#startExecutor();
  }

  /** Waits for the inference that runs. Those that wait and all later ones are refused. */
  async finish(): Promise<void> {
    this.#stopped = true;
    await this.#queue.close('the node is stopping');
  }

  async stop(): Promise<void> {
    await this.finish();
    await this.#executor?.stop();
    this.#executor = undefined;
    this.#loaded = undefined;
  }

  /** The executor, for questions about models. @throws {ExecutorError} if the engine isn't started. */
  executor(): ExecutorClient {
    if (this.#executor === undefined) throw new ExecutorError('Executor lost: the engine is not started');
    return this.#executor;
  }

  /** @throws {ExecutorError} if the engine isn't started. */
  get executorPid(): number {
    return this.executor().pid;
  }

  /** Memory of the executor in bytes, and its idle part. */
  memory(): ExecutorMemory {
    const executor = this.executor();
    const { idleBytes } = executor;
    try {
      const { rssAnonBytes: residentBytes, swapBytes } = readProcessMemory(executor.pid);
      return { residentBytes, privateBytes: residentBytes + swapBytes, idleBytes };
    } catch {
      // The executor has just ended and is about to be replaced by an idle one.
      return { residentBytes: idleBytes, privateBytes: idleBytes, idleBytes };
    }
  }

  /** From the next inference on, a model runs by this plan. */
  setPlan(model: EngineModel, plan: Plan): void {
    this.#planned.set(model.name, { model, plan });
  }

  /** Jobs by kind: in the queue now, and what became of the others. */
  get counts(): Readonly<Record<JobKind, JobCounts>> {
    return this.#queue.counts;
  }

  /**
   * @throws {BusyError} if too many wait; {DeadlineError} if the deadline passes first; {ExecutorError} if two executors
   * are lost in a row; {InputError} for an input that can't be used; {RangeError} if the model has no plan.
   */
  infer(name: string, input: EngineInput, job: JobOptions = { kind: 'request' }): Promise<EngineRun> {
    return this.#queue.add(job, () => this.#inferNow(name, input));
  }

  async #inferNow(name: string, input: EngineInput): Promise<EngineRun> {
    const planned = this.#planned.get(name);
    if (planned === undefined) throw new RangeError(`Cannot infer by model "${name}": it has no plan`);
    const run = () => this.#measured(planned, () => this.#run(planned, input));
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof ExecutorError) || this.#stopped) throw error;
      await this.#replaceExecutor(error.message);
      return run();
    }
  }

  async #run({ plan }: Planned, { source, outputs }: EngineInput): Promise<EngineRun> {
    const result = await this.executor().ask({ kind: 'run', image: source, outputs });
    return { ...result, plan };
  }

  /** Measures the run if that is due. It loads first, since a new plan's sessions are part of its memory. */
  async #measured(planned: Planned, run: () => Promise<EngineRun>): Promise<EngineRun> {
    const nowMs = performance.now();
    const isDue = nowMs - (this.#measuredAtMs.get(planned) ?? Number.NEGATIVE_INFINITY) >= MEASURE_MS;
    if (!isDue || this.#options.onMeasured === undefined) {
      await this.#load(planned);
      return run();
    }
    const meter = this.executor().createMeter();
    meter.start();
    try {
      await this.#load(planned);
      const result = await run();
      this.#measuredAtMs.set(planned, nowMs);
      const { latencyMs } = result;
      const workingBytes = meter.stop();
      this.#options.onMeasured({ model: planned.model.name, plan: planned.plan, workingBytes, latencyMs });
      return result;
    } finally {
      meter.stop();
    }
  }

  async #load(planned: Planned): Promise<void> {
    if (this.#loaded === planned) return;
    this.#loaded = undefined;
    const { model } = planned;
    model.checkFiles?.();
    this.#loading = model.name;
    await loadPlan(this.executor(), planned, { optimizer: this.#optimizer });
    this.#loaded = planned;
  }

  #reportUnmapped(reason: string): void {
    if (this.#loading !== undefined) this.#options.onUnmapped?.(this.#loading, reason);
  }

  async #startExecutor(): Promise<void> {
    await this.#executor?.stop();
    this.#loaded = undefined;
    const executor = await startExecutor();
    this.#executor = executor;
    void executor.ended.then((reason) => this.#revive(executor, reason));
  }

  async #replaceExecutor(reason: string): Promise<void> {
    await this.#startExecutor();
    this.#options.onReplaced(reason);
  }

  /**
   * Replaces an executor that ended while nothing ran, before it is needed. If that fails, the next inference tries
   * again.
   */
  #revive(executor: ExecutorClient, reason: string): void {
    const replace = async () => {
      if (!this.#stopped && this.#executor === executor) await this.#replaceExecutor(reason);
    };
    this.#queue.add({ kind: 'upkeep' }, replace).catch(() => undefined);
  }
}
