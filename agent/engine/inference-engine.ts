/**
 * Runs several models on one executor, one inference at a time.
 *
 * - A model is run by the plan it was given last. A larger plan counts from the next inference on.
 * - A smaller plan frees the memory of the larger one at once: between inferences its sessions go, and a run that
 *   needs more than the budget ends after its step and is run again.
 * - A model that is suspended frees all it holds. Without any other model the executor ends.
 * - If the executor is lost, the inference is tried again, so that no frame is lost with it. The planner may have
 *   chosen another plan by then.
 *
 * Switching between models loads sessions anew, while their weights stay in the page cache.
 */
import type { Plan } from '../../shared/search/index.js';
import type { Contract } from '../board/executor-group.js';
import type { PeakMeter } from '../board/process-memory.js';
import type { ExecutorClient } from './executor-client.js';
import { ExecutorError } from './executor-client.js';
import type {
  EngineInput,
  EngineModel,
  ExecutorEnds,
  ExecutorMemory,
  Planned,
  PlanTerms,
  Prepared,
} from './executor-slot.js';
import { ExecutorSlot } from './executor-slot.js';
import type { JobCounts, JobKind, JobOptions } from './request-queue.js';
import { RequestQueue, SuspendedError } from './request-queue.js';
import { InterruptedError } from './wire/interrupted-error.js';
import type { RunResult, SnapshotRequest } from './wire/protocol.js';

export type { EngineInput, EngineModel, ExecutorEnds, ExecutorMemory, PlanTerms } from './executor-slot.js';

export interface EngineOptions {
  /** Inferences that may wait, the running one included; more are refused. */
  readonly maxWaiting: number;
  /** Called when an executor was lost and replaced. */
  readonly onReplaced: (lost: ExecutorError) => void;
  /** Called when an executor is lost, before the inference is tried again. */
  readonly onLost?: (loss: ExecutorLoss) => void;
  /** Called after each run. */
  readonly onMeasured?: (measured: MeasuredRun) => void;
  /** Called when the weights of a model will be on the heap, with the reason; its plan may not count them. */
  readonly onUnmapped?: (model: string, reason: string) => void;
  /** Called with each plan before it serves. */
  readonly verify?: VerifyPlan;
}

/** A plan gave a wrong answer to a picture whose answer is known. */
export class WrongAnswerError extends ExecutorError {
  constructor(message: string) {
    super(message, 'wrong');
  }
}

/** Runs inputs by a plan that is loaded. @throws {WrongAnswerError} if the plan isn't to be trusted. */
export type VerifyPlan = (
  model: string,
  plan: Plan,
  run: (input: EngineInput) => Promise<RunResult>,
) => Promise<void>;

export interface ExecutorLoss {
  readonly error: ExecutorError;
  /** Undefined if nothing ran. */
  readonly model: string | undefined;
  readonly plan: Plan | undefined;
}

export interface MeasuredRun {
  readonly model: string;
  readonly plan: Plan;
  /** Peak of the executor's private memory above idle, loading included if the plan was new. */
  readonly workingBytes: number;
  readonly latencyMs: number;
}

/** Runs of one inference: the second and third by what the planner has chosen after a loss or an interruption. */
const MAX_TRIES = 3;

/** Time for which a snapshot may wait, and its frame stay in memory. */
const SNAPSHOT_DEADLINE_MS = 10_000;

export interface EngineRun extends RunResult {
  readonly plan: Plan;
}

export class InferenceEngine {
  readonly #options: EngineOptions;
  readonly #slot: ExecutorSlot;
  readonly #planned = new Map<string, Planned>();
  readonly #terms = new Map<string, PlanTerms>();
  readonly #suspended = new Set<string>();
  readonly #queue: RequestQueue;
  /** What runs or is being loaded. */
  #running: { readonly planned: Planned; stepsDone: number } | undefined;
  #stopping = new AbortController();
  /** Plans that answered rightly. */
  #verified = new WeakSet<Plan>();

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#queue = new RequestQueue({ maxWaiting: options.maxWaiting });
    this.#slot = new ExecutorSlot({
      onLost: (error) => this.#revive(error),
      onReplaced: options.onReplaced,
      onUnmapped: (model, reason) => options.onUnmapped?.(model, reason),
    });
  }

  /** The executor is started when it is needed first. */
  start(): void {
    this.#stopping = new AbortController();
    this.#queue.open();
  }

  /** Waits for the inference that runs. Those that wait and all later ones are refused. */
  async finish(): Promise<void> {
    this.#stopping.abort(new Error('the node is stopping'));
    await this.#queue.close('the node is stopping');
  }

  async stop(): Promise<void> {
    await this.finish();
    await this.#slot.close();
  }

  /** The executor, for questions about models; started if there is none. @throws {ExecutorError} if it can't start. */
  executor(): Promise<ExecutorClient> {
    if (this.#isStopped) throw new ExecutorError('Executor lost: the engine is stopped');
    return this.#slot.executor();
  }

  get #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  memory(): ExecutorMemory {
    return this.#slot.memory();
  }

  /** Executors that ended unasked. */
  get ends(): ExecutorEnds {
    return this.#slot.ends;
  }

  /** Why the executor isn't to be relied on; undefined while it is. */
  get fault(): string | undefined {
    return this.#slot.fault;
  }

  /** How the kernel holds the executor to its plan. */
  get contract(): Contract {
    return this.#slot.contract;
  }

  /** Jobs by kind: in the queue now, and what became of the others. */
  get counts(): Readonly<Record<JobKind, JobCounts>> {
    return this.#queue.counts;
  }

  /**
   * From the next inference on, a model runs by this plan. A run that needs more than the budget is run again.
   * @param terms by default what was predicted, without a budget.
   */
  setPlan(model: EngineModel, plan: Plan, terms = predictedTerms(plan)): void {
    this.#planned.set(model.name, { model, plan });
    this.setTerms(model.name, terms);
    const outdated = this.#running?.planned ?? this.#slot.loaded;
    if (outdated?.model.name !== model.name) return;
    if (plan.predicted.workingBytes >= outdated.plan.predicted.workingBytes) return;
    if (this.#bytesAhead() > terms.budgetBytes) this.#slot.interrupt();
    this.#upkeep(async () => {
      if (this.#slot.loaded === outdated) await this.#slot.unload();
    });
  }

  /** The plan in force may take other amounts than before; its sessions stay. */
  setTerms(model: string, terms: PlanTerms): void {
    this.#terms.set(model, terms);
  }

  /** Frees what a model holds, and refuses its inferences until it is resumed. */
  suspend(model: string): void {
    if (this.#suspended.has(model)) return;
    this.#suspended.add(model);
    if (this.#running?.planned.model.name === model) this.#slot.interrupt();
    this.#upkeep(async () => {
      const isLast = [...this.#planned.keys()].every((name) => this.#suspended.has(name));
      if (isLast) await this.#slot.stop();
      else if (this.#suspended.has(this.#slot.loaded?.model.name ?? '')) await this.#slot.unload();
    });
  }

  /** Frees what a model holds, and forgets it. */
  remove(model: string): void {
    this.#planned.delete(model);
    this.#terms.delete(model);
    this.#suspended.delete(model);
    if (this.#running?.planned.model.name === model) this.#slot.interrupt();
    this.#upkeep(async () => {
      if (this.#planned.size === 0) await this.#slot.stop();
      else if (this.#slot.loaded?.model.name === model) await this.#slot.unload();
    });
  }

  resume(model: string): void {
    this.#suspended.delete(model);
  }

  /** Ends the executor and does some work in its place, before inferences that wait. The signal aborts with the engine. */
  lend<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#queue.add({ kind: 'upkeep' }, async () => {
      const { signal } = this.#stopping;
      await this.#slot.stop();
      signal.throwIfAborted();
      return work(signal);
    });
  }

  /**
   * @throws {BusyError} if too many wait; {SuspendedError} if the model is suspended; {DeadlineError} if the deadline passes first;
   * {ExecutorError} if executors are lost again and again; {InputError} for an input that can't be used; {RangeError}
   * if the model has no plan.
   */
  infer(name: string, input: EngineInput, job: JobOptions = { kind: 'request' }): Promise<EngineRun> {
    return this.#queue.add(job, () => this.#inferNow(name, input));
  }

  /** Verifies the plan of a model anew, before inferences that wait. @throws as `infer`. */
  async check(name: string): Promise<void> {
    await this.#queue.add({ kind: 'upkeep' }, () =>
      this.#try(name, async (planned) => {
        this.#verified.delete(planned.plan);
        await this.#occupy(planned, async () => (await this.#load(planned)).meter.stop());
      }),
    );
  }

  /** Verifies another plan of a model than the one in force, which is loaded again afterwards. @throws as `infer`. */
  async checkBy(name: string, plan: Plan): Promise<void> {
    await this.#queue.add({ kind: 'upkeep' }, async () => {
      const planned = { model: this.#plannedOf(name).model, plan };
      await this.#occupy(planned, async () => (await this.#load(planned, { isTrial: true })).meter.stop());
    });
  }

  /**
   * Draws a snapshot when no inference waits.
   * @throws {BusyError} if too many wait or no executor runs; {DeadlineError} if its turn doesn't come soon;
   * {InputError} for an image that can't be used.
   */
  draw(request: SnapshotRequest): Promise<Uint8Array> {
    const job = { kind: 'snapshot', deadlineMs: SNAPSHOT_DEADLINE_MS } as const;
    return this.#queue.add(job, () => this.#slot.draw(request));
  }

  #inferNow(name: string, input: EngineInput): Promise<EngineRun> {
    return this.#try(name, (planned) => this.#occupy(planned, () => this.#run(planned, input)));
  }

  /** Tries again by the plan that the planner has chosen since, if the executor was lost or interrupted. */
  async #try<T>(name: string, work: (planned: Planned) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      const planned = this.#plannedOf(name);
      try {
        return await work(planned);
      } catch (error) {
        const isPassing = error instanceof ExecutorError || error instanceof InterruptedError;
        if (error instanceof WrongAnswerError) await this.#slot.stop();
        if (error instanceof ExecutorError) this.#reportLoss(error, planned);
        if (!isPassing || this.#isStopped || tries === MAX_TRIES) throw error;
      }
    }
  }

  #plannedOf(name: string): Planned {
    const planned = this.#planned.get(name);
    if (planned === undefined) throw new RangeError(`Cannot infer by model "${name}": it has no plan`);
    if (this.#suspended.has(name))
      throw new SuspendedError(`Cannot run: "${name}" doesn't fit into memory now`);
    return planned;
  }

  #termsOf({ model, plan }: Planned): PlanTerms {
    return this.#terms.get(model.name) ?? predictedTerms(plan);
  }

  async #occupy<T>(planned: Planned, work: () => Promise<T>): Promise<T> {
    this.#running = { planned, stepsDone: 0 };
    try {
      return await work();
    } finally {
      this.#running = undefined;
    }
  }

  async #run(planned: Planned, input: EngineInput): Promise<EngineRun> {
    const { prepared, meter } = await this.#load(planned);
    try {
      const result = await this.#runLoaded(prepared, input);
      this.#report(planned, meter.stop(), result);
      return { ...result, plan: planned.plan };
    } finally {
      meter.stop();
    }
  }

  /**
   * Loads a plan, and verifies it if that wasn't done.
   * @returns a meter that measures since the loading began. In an executor that held another plan it measures from the
   * end of loading on: what that plan left is given back meanwhile, and isn't this one's.
   */
  async #load(
    planned: Planned,
    { isTrial }: { readonly isTrial: boolean } = { isTrial: false },
  ): Promise<{ readonly prepared: Prepared; readonly meter: PeakMeter }> {
    const { model, plan } = planned;
    const prepared = await this.#slot.prepare(planned);
    const meter = prepared.executor.createMeter();
    const isOwn = prepared.program === undefined || this.#slot.isFresh;
    if (isOwn) meter.start();
    try {
      await this.#slot.load(planned, prepared, isTrial ? predictedTerms(plan) : this.#termsOf(planned));
      if (!isTrial && this.#isOutdated(planned))
        throw new InterruptedError('Run interrupted: its plan was replaced');
      if (!this.#verified.has(plan)) {
        await this.#options.verify?.(model.name, plan, (input) => this.#runLoaded(prepared, input));
        this.#verified.add(plan);
      }
      if (!isOwn) meter.start();
      return { prepared, meter };
    } catch (error) {
      meter.stop();
      throw error;
    }
  }

  #runLoaded(prepared: Prepared, input: EngineInput): Promise<RunResult> {
    return this.#slot.run(prepared, input, (step) => {
      if (this.#running !== undefined) this.#running.stepsDone = step;
    });
  }

  /** Whether a smaller plan, or none, took the place of this one while it was loaded. */
  #isOutdated({ model, plan }: Planned): boolean {
    if (this.#suspended.has(model.name)) return true;
    const now = this.#planned.get(model.name)?.plan ?? plan;
    return now.predicted.workingBytes < plan.predicted.workingBytes;
  }

  #report({ model, plan }: Planned, workingBytes: number, { latencyMs }: RunResult): void {
    this.#options.onMeasured?.({ model: model.name, plan, workingBytes, latencyMs });
  }

  /** The most that the rest of the run will need, in bytes above idle; 0 if nothing runs. */
  #bytesAhead(): number {
    if (this.#running === undefined) return 0;
    const { planned, stepsDone } = this.#running;
    let left = stepsDone;
    const at = this.#slot.stepCounts.findIndex((count) => {
      left -= count;
      return left < 0;
    });
    const ahead = planned.plan.segments.slice(Math.max(0, at));
    return Math.max(...ahead.map(({ prediction }) => prediction.workingBytes));
  }

  #reportLoss(error: ExecutorError, planned?: Planned): void {
    this.#options.onLost?.({ error, model: planned?.model.name, plan: planned?.plan });
  }

  /** Replaces an executor that ended while nothing ran, before it is needed. If that fails, the next inference does. */
  #revive(error: ExecutorError): void {
    // The inference that runs reports the loss itself.
    if (this.#running !== undefined) return;
    this.#reportLoss(error);
    this.#upkeep(async () => {
      if (this.#slot.isLost && !this.#isStopped) await this.#slot.executor();
    });
  }

  /** Work of the engine's own. A queue that is closed has ended it all; a lost executor is replaced anyway. */
  #upkeep(work: () => Promise<void>): void {
    this.#queue.add({ kind: 'upkeep' }, work).catch(() => undefined);
  }
}

/** What was predicted, without a budget. */
function predictedTerms({ predicted: { workingBytes: promisedBytes, weightsBytes } }: Plan): PlanTerms {
  return { budgetBytes: Number.POSITIVE_INFINITY, promisedBytes, weightsBytes };
}
