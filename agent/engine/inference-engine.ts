/**
 * One executor that serves several models, one inference at a time.
 *
 * A model is run by the plan it was given last; a new plan counts from the next inference on, the one that
 * runs ends under the old. Switching between models loads sessions anew: their weights stay in the page
 * cache. If the executor is lost it is replaced, and the inference is tried once more, so no frame is lost to
 * an executor that was killed.
 */
import type { Graph, Plan, PredictSettings } from '../../shared/index.js';
import type { CompileOptions } from './compile.js';
import { compilePlan } from './compile.js';
import { Executor, ExecutorError } from './executor-client.js';
import { readProcessMemory } from './process-memory.js';
import type { ImageSource, RunResult, TensorSource } from './protocol.js';

/** What the engine needs to run a model. */
export interface EngineModel extends PredictSettings {
  readonly name: string;
  readonly graph: Graph;
  readonly folder: string;
  readonly input: CompileOptions['input'];
}

export interface EngineOptions {
  /** Inferences that may wait; more are refused. */
  readonly maxWaiting: number;
  /** Told when an executor was lost and replaced. */
  readonly onReplaced: (reason: string) => void;
}

/** More work waits than may; try again later. */
export class BusyError extends Error {
  override readonly name = 'BusyError';
  readonly code = 'BUSY';
}

export interface EngineRun extends RunResult {
  readonly plan: Plan;
}

interface Planned {
  readonly model: EngineModel;
  readonly plan: Plan;
}

export class InferenceEngine {
  readonly #options: EngineOptions;
  readonly #planned = new Map<string, Planned>();
  #executor: Executor | undefined;
  #loaded: Planned | undefined;
  #waiting = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#stopped = false;
    await this.#startExecutor();
  }

  /** Waits for the inference that runs; those behind it are refused. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#queue.catch(() => undefined);
    await this.#executor?.stop();
    this.#executor = undefined;
    this.#loaded = undefined;
  }

  /** The executor itself, for questions about models. @throws {ExecutorError} if the engine isn't started. */
  executor(): Executor {
    if (this.#executor === undefined) throw new ExecutorError('Executor lost: the engine is not started');
    return this.#executor;
  }

  /** Private memory of the executor, and what of it was there before any model; in bytes. */
  memory(): { readonly privateBytes: number; readonly idleBytes: number } {
    const executor = this.executor();
    const { idleBytes } = executor;
    try {
      const { rssAnonBytes, swapBytes } = readProcessMemory(executor.pid);
      return { privateBytes: rssAnonBytes + swapBytes, idleBytes };
    } catch {
      // It has just ended and is about to be replaced by an idle one.
      return { privateBytes: idleBytes, idleBytes };
    }
  }

  /** From the next inference on, a model runs by this plan. */
  setPlan(model: EngineModel, plan: Plan): void {
    this.#planned.set(model.name, { model, plan });
  }

  planOf(name: string): Plan | undefined {
    return this.#planned.get(name)?.plan;
  }

  /** @throws {BusyError} if too many wait; {RangeError | SyntaxError} for an input that can't be used. */
  async infer(
    name: string,
    source: ImageSource | TensorSource,
    outputs: 'values' | 'shapes',
  ): Promise<EngineRun> {
    if (this.#stopped) throw new BusyError('Cannot infer: the engine is stopping');
    if (this.#waiting >= this.#options.maxWaiting) {
      throw new BusyError(
        `Cannot infer: ${this.#waiting} inferences wait already, expected fewer than ${this.#options.maxWaiting}`,
      );
    }
    this.#waiting += 1;
    const turn = this.#queue.then(() => this.#inferNow(name, source, outputs));
    this.#queue = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #inferNow(
    name: string,
    source: ImageSource | TensorSource,
    outputs: 'values' | 'shapes',
  ): Promise<EngineRun> {
    if (this.#stopped) throw new BusyError('Cannot infer: the engine is stopping');
    const planned = this.#planned.get(name);
    if (planned === undefined) throw new RangeError(`Cannot infer by model "${name}": it has no plan`);
    const run = async () => {
      await this.#load(planned);
      const result = await this.executor().ask({ kind: 'run', image: source, outputs });
      return { ...result, plan: planned.plan };
    };
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof ExecutorError) || this.#stopped) throw error;
      this.#options.onReplaced(error.message);
      await this.#startExecutor();
      return run();
    }
  }

  async #load(planned: Planned): Promise<void> {
    if (this.#loaded === planned) return;
    this.#loaded = undefined;
    const { model, plan } = planned;
    const { folder, input, level, threads } = model;
    const program = compilePlan(model.graph, plan, { folder, input, level, threads });
    await this.executor().ask({ kind: 'load', program });
    this.#loaded = planned;
  }

  async #startExecutor(): Promise<void> {
    await this.#executor?.stop();
    this.#loaded = undefined;
    const executor = new Executor();
    await executor.start();
    this.#executor = executor;
  }
}
