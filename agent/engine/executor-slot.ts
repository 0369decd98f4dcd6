/**
 * The place of the engine's executor. At most one process of the engine has ONNX Runtime at any time, so that a short
 * board never pays for two: weights are saved for this machine by an executor that takes the place of the other one.
 */
import type { Plan } from '../../shared/search/index.js';
import type { Contract } from '../board/executor-group.js';
import { ExecutorGroup } from '../board/executor-group.js';
import { limitFor } from '../board/executor-limit.js';
import { readProcessMemory } from '../board/process-memory.js';
import { ModelOptimizer } from './blocked/model-optimizer.js';
import type { ExecutorClient, ExecutorError } from './executor-client.js';
import { idleBytesOf, startExecutor } from './executor-client.js';
import type { EndReason } from './executor-end.js';
import type { LoadableModel } from './load-plan.js';
import { programOf } from './load-plan.js';
import { Patience } from './patience.js';
import { BusyError } from './request-queue.js';
import { InterruptedError } from './wire/interrupted-error.js';
import type { ImageSource, Program, RunResult, SnapshotRequest, TensorSource } from './wire/protocol.js';

/** Time for a model to be loaded from a slow SD card, and for memory to be given back. */
const LOAD_MS = 120_000;
const UNLOAD_MS = 30_000;

/** Time for a snapshot to be drawn, of the largest picture on the slowest board. */
const DRAW_MS = 30_000;

/** What the engine needs to run a model. */
export interface EngineModel extends LoadableModel {
  readonly name: string;
  /** Called before weights are mapped again. @throws {Error} if the files changed since the graph was read. */
  readonly checkFiles?: () => void;
}

/** A model with the plan that it runs by. */
export interface Planned {
  readonly model: EngineModel;
  readonly plan: Plan;
}

/** One input of a model, and whether the values of its outputs are wanted or their shapes alone. */
export interface EngineInput {
  readonly source: ImageSource | TensorSource;
  readonly outputs: 'values' | 'shapes';
}

/** What a plan may take, in bytes. */
export interface PlanTerms {
  /** What the executor may hold above idle from now on. */
  readonly budgetBytes: number;
  /** Working memory that the plan promises. */
  readonly promisedBytes: number;
  /** Mapped weights that are to stay in memory. */
  readonly weightsBytes: number;
}

export interface ExecutorMemory {
  /** Null while there is no executor. */
  readonly pid: number | null;
  /** Private memory that is not swapped out; the executor's end would free it. */
  readonly residentBytes: number;
  /** Private memory including swap. */
  readonly privateBytes: number;
  /** Of an executor without a model; 0 until the first one was measured. */
  readonly idleBytes: number;
}

/** Executors that ended unasked since the agent started. */
export interface ExecutorEnds {
  readonly count: number;
  /** The last one; `at` in ISO 8601. */
  readonly last: { readonly reason: EndReason; readonly text: string; readonly at: string } | null;
}

export interface SlotOptions {
  /** Called when an executor ended unasked. */
  readonly onLost: (error: ExecutorError) => void;
  /** Called when another one runs in its place. */
  readonly onReplaced: (lost: ExecutorError) => void;
  /** Called when the weights of a model will be on the heap, with the reason; its plan may not count them. */
  readonly onUnmapped: (model: string, reason: string) => void;
}

/** A program that is ready to be loaded, and the executor that will load it. */
export interface Prepared {
  readonly executor: ExecutorClient;
  /** Undefined if it is loaded already. */
  readonly program: Program | undefined;
}

export class ExecutorSlot {
  readonly #options: SlotOptions;
  readonly #optimizer: ModelOptimizer;
  #executor: ExecutorClient | undefined;
  #starting: Promise<ExecutorClient> | undefined;
  #loaded: { readonly planned: Planned; readonly stepCounts: readonly number[] } | undefined;
  /** Whether the executor has held no program yet. */
  #isFresh = true;
  /** Name of the model that is being loaded, or was loaded last. */
  #loading = '';
  /** How the last executor was lost, until another one runs. */
  #lost: ExecutorError | undefined;
  #group: ExecutorGroup | undefined;
  readonly #patience = new Patience();
  #ends: ExecutorEnds = { count: 0, last: null };

  constructor(options: SlotOptions) {
    this.#options = options;
    this.#optimizer = new ModelOptimizer({
      startExecutor: async () => {
        await this.stop();
        return startExecutor();
      },
      onFailed: (reason) => this.#options.onUnmapped(this.#loading, reason),
    });
  }

  /** The plan whose sessions the executor holds. */
  get loaded(): Planned | undefined {
    return this.#loaded?.planned;
  }

  /** Whether the executor has held no program yet, whose memory may not be given back by now. */
  get isFresh(): boolean {
    return this.#isFresh;
  }

  /** Steps of each segment of the loaded plan. */
  get stepCounts(): readonly number[] {
    return this.#loaded?.stepCounts ?? [];
  }

  /** How the kernel holds the executor to its plan. */
  get contract(): Contract {
    return this.#group?.contract ?? { kind: 'none', reason: 'no executor was started yet' };
  }

  /** Executors that ended unasked. */
  get ends(): ExecutorEnds {
    return this.#ends;
  }

  /** Why the executor isn't to be relied on; undefined while it is. */
  get fault(): string | undefined {
    return this.#patience.fault;
  }

  /** Whether an executor ended by itself and has no successor yet. */
  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  memory(): ExecutorMemory {
    const idleBytes = idleBytesOf();
    const none = { pid: null, residentBytes: 0, privateBytes: 0, idleBytes };
    const pid = this.#executor?.pid;
    if (pid === undefined) return none;
    try {
      const { rssAnonBytes: residentBytes, swapBytes } = readProcessMemory(pid);
      return { pid, residentBytes, privateBytes: residentBytes + swapBytes, idleBytes };
    } catch {
      // The executor has just ended.
      return none;
    }
  }

  /** The executor; one is started if there is none. @throws {ExecutorError} if it can't start. */
  async executor(): Promise<ExecutorClient> {
    if (this.#executor !== undefined) return this.#executor;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #start(): Promise<ExecutorClient> {
    this.#patience.checkStart();
    this.#group ??= ExecutorGroup.create();
    // No plan limits a start.
    this.#group.setLimit(undefined);
    const executor = await startExecutor(undefined, { group: this.#group });
    this.#executor = executor;
    this.#isFresh = true;
    void executor.ended.then(() => this.#lose(executor));
    const lost = this.#lost;
    this.#lost = undefined;
    if (lost !== undefined) this.#options.onReplaced(lost);
    return executor;
  }

  /** Makes the program of a plan. The executor may be another one afterwards. @throws as `programOf`. */
  async prepare(planned: Planned): Promise<Prepared> {
    if (this.loaded === planned) return { executor: await this.executor(), program: undefined };
    const { model, plan } = planned;
    model.checkFiles?.();
    this.#loading = model.name;
    const program = await programOf(model, plan, { optimizer: this.#optimizer });
    return { executor: await this.executor(), program };
  }

  /**
   * Frees the program that is loaded, then loads this one. The kernel holds the executor to its terms, if it can. A
   * lower limit may have to wait until memory was given back.
   * @throws {ExecutorError} if the executor is lost.
   */
  async load(planned: Planned, { executor, program }: Prepared, terms: PlanTerms): Promise<void> {
    this.#limit(terms);
    if (program === undefined) return;
    this.#loaded = undefined;
    this.#isFresh = false;
    await executor.ask({ kind: 'load', program }, { deadlineMs: LOAD_MS });
    this.#loaded = { planned, stepCounts: program.segments.map(({ steps }) => steps.length) };
  }

  /**
   * Runs an input by the loaded plan. An executor without a sign of life for longer than a step may take hangs.
   * @throws {InterruptedError} after `interrupt`; the plan is unloaded then.
   */
  async run(
    { executor }: Prepared,
    { source, outputs }: EngineInput,
    onProgress: (step: number) => void,
  ): Promise<RunResult> {
    const plan = this.#loadedPlan();
    const deadlineMs = this.#patience.stepMs(plan, this.stepCounts);
    try {
      const result = await executor.ask({ kind: 'run', image: source, outputs }, { onProgress, deadlineMs });
      this.#patience.reward(plan, result.latencyMs);
      return result;
    } catch (error) {
      if (error instanceof InterruptedError) this.#loaded = undefined;
      throw error;
    }
  }

  #loadedPlan(): Plan {
    if (this.loaded === undefined) throw new RangeError('Cannot run: no plan is loaded');
    return this.loaded.plan;
  }

  /** Draws a snapshot. None is worth the start of an executor. @throws {BusyError} if none runs. */
  async draw(request: SnapshotRequest): Promise<Uint8Array> {
    if (this.#executor === undefined) throw new BusyError('Cannot draw a snapshot: no executor runs');
    return this.#executor.ask(request, { deadlineMs: DRAW_MS });
  }

  /** Gives the memory of the loaded plan back. */
  async unload(): Promise<void> {
    this.#loaded = undefined;
    await this.#executor?.ask({ kind: 'unload' }, { deadlineMs: UNLOAD_MS });
  }

  /** Ends a run that is going on after its step; its program is unloaded. */
  interrupt(): void {
    this.#executor?.interrupt();
  }

  /** Ends the executor for good. */
  async close(): Promise<void> {
    await this.stop();
    this.#group?.remove();
    this.#group = undefined;
  }

  /** Ends the executor. The next one is started when it is asked for. */
  async stop(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const executor = this.#executor;
    this.#executor = undefined;
    this.#loaded = undefined;
    await executor?.stop();
  }

  #limit({ promisedBytes, weightsBytes }: PlanTerms): void {
    const limitBytes = limitFor({ idleBytes: idleBytesOf(), workingBytes: promisedBytes, weightsBytes });
    if (this.contract.limitBytes !== limitBytes) this.#group?.setLimit(limitBytes);
  }

  #lose(executor: ExecutorClient): void {
    if (this.#executor !== executor || executor.endedBy === undefined) return;
    this.#executor = undefined;
    this.#loaded = undefined;
    this.#lost = executor.endedBy;
    const { reason, message: text } = executor.endedBy;
    this.#ends = { count: this.#ends.count + 1, last: { reason, text, at: new Date().toISOString() } };
    this.#patience.punish(executor.endedBy.reason);
    this.#options.onLost(executor.endedBy);
  }
}
