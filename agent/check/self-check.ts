/**
 * Proves that the node can see, as a feature. A stored picture goes through each plan before it serves, and through the
 * plans in force at a steady interval; the answer is compared with the known one. A plan that answers wrongly is left,
 * its executor replaced, and the node isn't ready until a check succeeds.
 */
import type { Plan } from '../../shared/search/index.js';
import type { CheckFault, CheckState } from '../../shared/wire/index.js';
import { ExecutorError } from '../engine/executor-client.js';
import type { EngineInput } from '../engine/inference-engine.js';
import { WrongAnswerError } from '../engine/inference-engine.js';
import { BusyError } from '../engine/request-queue.js';
import { InterruptedError } from '../engine/wire/interrupted-error.js';
import type { RunResult } from '../engine/wire/protocol.js';
import { ModelChangedError } from '../models/watch-files.js';
import { summarize } from './answer.js';
import { checkPicture } from './check-picture.js';
import type { CheckedModel, References } from './references.js';

export interface SelfCheckOptions {
  readonly references: References;
  readonly engine: {
    check(model: string): Promise<void>;
    checkBy(model: string, plan: Plan): Promise<void>;
  };
  readonly planners: {
    readonly all: readonly CheckedPlanner[];
    get(name: string): CheckedPlanner | undefined;
  };
  /** Seconds between two checks; 0 for none but those of new plans. */
  readonly interval: number;
  /** Called when a check fails after one that didn't. */
  readonly onFailed: (fault: CheckFault) => void;
  /** Called when a check of that model succeeds again. */
  readonly onRecovered: (model: string) => void;
}

interface CheckedPlanner {
  readonly name: string;
  readonly plan: Plan | undefined;
  readonly network: CheckedModel;
  /** The plan without cuts and tiles; undefined if it doesn't fit into memory now. */
  readonly untiledPlan: Plan | undefined;
}

/** Time until a check that failed is made again. */
const RETRY_MS = 10_000;

export class SelfCheck {
  readonly #options: SelfCheckOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #state: Omit<CheckState, 'fault'> = { at: null, passed: 0, failed: 0 };
  /** By model. */
  readonly #faults = new Map<string, CheckFault>();
  #retry: NodeJS.Timeout | undefined;

  constructor(options: SelfCheckOptions) {
    this.#options = options;
  }

  get state(): CheckState {
    const [fault = null] = this.#faults.values();
    return { ...this.#state, fault };
  }

  start(): void {
    const { interval } = this.#options;
    if (interval > 0) this.#timer = setInterval(() => this.#checkSoon(), interval * 1000);
  }

  /** Waits for the check that runs. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    await this.#running;
  }

  /** Runs the picture by a plan that is loaded. @throws {WrongAnswerError} if the answer isn't the known one. */
  async verify(name: string, plan: Plan, run: (input: EngineInput) => Promise<RunResult>): Promise<void> {
    const { planners, references } = this.#options;
    const model = planners.get(name)?.network;
    if (model === undefined) return;
    const { outputs } = await run({ source: checkPicture(), outputs: 'values' });
    const reason = references.check(model, plan, summarize(outputs));
    const isGood = reason === undefined;
    const { passed, failed } = this.#state;
    this.#state = {
      at: new Date().toISOString(),
      passed: passed + Number(isGood),
      failed: failed + Number(!isGood),
    };
    if (isGood) {
      if (this.#faults.delete(name)) this.#options.onRecovered(name);
      return;
    }
    this.#blame({ model: name, notation: plan.notation, reason });
    throw new WrongAnswerError(`Plan ${plan.notation} answers wrongly: ${reason}`);
  }

  #blame(fault: CheckFault): void {
    const isNew = !this.#faults.has(fault.model);
    this.#faults.set(fault.model, fault);
    if (isNew) this.#options.onFailed(fault);
  }

  #checkSoon(): void {
    clearTimeout(this.#retry);
    this.#running ??= this.#checkAll().finally(() => {
      this.#running = undefined;
    });
  }

  async #checkAll(): Promise<void> {
    // Of models that aren't served any more.
    for (const name of this.#faults.keys())
      if (this.#options.planners.get(name) === undefined) this.#faults.delete(name);
    for (const planner of this.#options.planners.all) {
      try {
        await this.#check(planner);
      } catch (error) {
        if (saysNothing(error)) continue;
        const reason = error instanceof Error ? error.message : String(error);
        this.#blame({ model: planner.name, notation: planner.plan?.notation ?? '', reason });
      }
    }
    if (this.#faults.size > 0) this.#retry = setTimeout(() => this.#checkSoon(), RETRY_MS).unref();
  }

  async #check({ name, plan, network, untiledPlan }: CheckedPlanner): Promise<void> {
    const { engine, references } = this.#options;
    if (plan === undefined) return;
    if (untiledPlan !== undefined && !references.isProven(network, plan))
      await engine.checkBy(name, untiledPlan);
    await engine.check(name);
  }
}

/**
 * Errors that tell nothing of a plan's answers: a model that doesn't fit now, changed files, a queue that closes, a plan
 * that was replaced, an executor that was killed or is to be started later. One that hung answered too late.
 */
function saysNothing(error: unknown): boolean {
  if (error instanceof ExecutorError) return error.reason !== 'hung' && error.reason !== 'wrong';
  return [BusyError, ModelChangedError, InterruptedError].some((kind) => error instanceof kind);
}
