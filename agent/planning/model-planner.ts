/**
 * Keeps the plan of one served model inside the budget. `adapt` is its one entry: it looks at the budget, decides
 * (pressure.ts) whether another plan is due, and takes that from the store or searches for it.
 */
import type { DeviceProfile } from '../../shared/predict/index.js';
import { BUILT_IN_PROFILE, costEntryFor } from '../../shared/predict/index.js';
import type { Plan } from '../../shared/search/index.js';
import {
  BudgetError,
  budgetedBytes,
  buildPlan,
  PLANNER_VERSION,
  parsePlan,
} from '../../shared/search/index.js';
import type { Pressure } from '../../shared/wire/index.js';
import type { PressureState } from '../board/pressure.js';
import { BAND_RATIO, decide, INITIAL_PRESSURE } from '../board/pressure.js';
import type { ModelConfig } from '../config/config-schema.js';
import { findAllocator } from '../engine/allocator.js';
import type { MeasuredRun } from '../engine/inference-engine.js';
import type { PlanKey, Store, StoredPlan } from '../store/store.js';
import type { Network } from './open-model.js';
import type { SettingsChoice } from './plan-network.js';
import { copying, strategyNamed, variantsOf } from './plan-network.js';
import { searchInThread } from './search-thread.js';

export interface PlanChange {
  readonly plan: Plan;
  /** Where the plan came from. */
  readonly origin: 'stored' | 'searched';
}

export interface PlannerOptions {
  readonly store: Store;
  /** Costs of this device; built-in ones if absent. */
  readonly profile?: DeviceProfile;
}

/** A moment, by a clock that doesn't jump and by the wall clock that the store keeps. */
export interface Moment {
  readonly steadyMs: number;
  readonly wallMs: number;
}

/** Settings that the configuration fixes. */
function choiceOf({ threads, level }: ModelConfig): SettingsChoice {
  return {
    ...(threads === null ? {} : { threads }),
    ...(level === 'auto' ? {} : { level }),
  };
}

function keyOf({ notation, settings }: Plan): string {
  return JSON.stringify([notation, settings]);
}

export class ModelPlanner {
  readonly network: Network;
  readonly config: ModelConfig;
  readonly #store: Store;
  readonly #choice: SettingsChoice;
  readonly #profile: DeviceProfile | undefined;
  #pressure: PressureState = INITIAL_PRESSURE;
  #plan: Plan | undefined;
  #measured: MeasuredRun | undefined;
  #mapsWeights: boolean;
  /** Ends searches. */
  readonly #stop = new AbortController();
  /** 0 until it is known. */
  #smallestBytes = 0;
  /** Number of plans asked for so far. */
  #orders = 0;

  /** @throws {RangeError} if there is no such strategy. */
  constructor(network: Network, config: ModelConfig, { store, profile }: PlannerOptions) {
    strategyNamed(config.strategy);
    this.network = network;
    this.config = config;
    this.#store = store;
    this.#choice = choiceOf(config);
    this.#profile = profile;
    this.#mapsWeights = network.mapsWeights;
  }

  /** Finds out what the network needs at least. @throws {Error} if the search fails. */
  async start(): Promise<void> {
    await this.#findSmallest();
  }

  /** Searches that still run end with an error. */
  stop(): void {
    this.#stop.abort(new Error('Cannot plan: the agent stops'));
  }

  get name(): string {
    return this.config.name;
  }

  /** The configuration's least confidence; undefined for the model's own. */
  get threshold(): number | undefined {
    return this.config.threshold ?? undefined;
  }

  /** Undefined until the first plan is found. */
  get plan(): Plan | undefined {
    return this.#plan;
  }

  get pressure(): Pressure {
    return this.#pressure.pressure;
  }

  /** The last measured run of the plan in force. */
  get measured(): MeasuredRun | undefined {
    return this.#measured;
  }

  /** Least budget that any plan of the strategy meets, in bytes. */
  get smallestBytes(): number {
    return this.#smallestBytes;
  }

  /**
   * Looks at the budget and plans anew if that is due. Where no plan fits, the smallest one is taken.
   * @returns the plan to change to; undefined if the one in force stays, or a later look has overtaken this one.
   * @throws {Error} if the search fails.
   */
  async adapt(budgetBytes: number, { steadyMs, wallMs }: Moment): Promise<PlanChange | undefined> {
    const targetBytes = this.#look(budgetBytes, steadyMs);
    if (targetBytes === undefined) return undefined;
    this.#orders += 1;
    const order = this.#orders;
    const change = this.#findStored(targetBytes) ?? (await this.#searchFor(targetBytes, wallMs));
    if (order !== this.#orders) return undefined;
    const isSame = this.#plan !== undefined && keyOf(change.plan) === keyOf(this.#plan);
    this.#plan = change.plan;
    if (!isSame) this.#measured = undefined;
    return isSame ? undefined : change;
  }

  /** Keeps what a run needed together with what was predicted for its plan. */
  record(run: MeasuredRun, wallMs: number): void {
    this.#measured = run;
    const { model, plan, workingBytes: measuredBytes, latencyMs } = run;
    const { workingBytes: predictedBytes } = plan.predicted;
    const { notation, settings } = plan;
    const { correction = 1 } = costEntryFor(this.#profile ?? BUILT_IN_PROFILE, settings);
    const predictedMs = plan.predicted.latencyMs / correction;
    this.#store.addMeasurement(
      { model, notation, predictedBytes, measuredBytes, predictedMs, latencyMs, ...settings },
      wallMs,
    );
  }

  /** Weights couldn't be mapped after all: the next look at the budget orders a plan that counts their copies. */
  async countCopies(): Promise<void> {
    if (!this.#mapsWeights) return;
    this.#mapsWeights = false;
    this.#pressure = { ...INITIAL_PRESSURE, pressure: this.pressure };
    await this.#findSmallest();
  }

  /** One look at the budget. @returns how many bytes to plan for, if another plan is due. */
  #look(budgetBytes: number, nowMs: number): number | undefined {
    const planBytes = this.#plan === undefined ? 0 : budgetedBytes(this.#plan.predicted, this.config.weights);
    const { state, action } = decide(this.#pressure, {
      budgetBytes,
      planBytes,
      smallestBytes: this.#smallestBytes,
      nowMs,
    });
    this.#pressure = state;
    return action === 'keep' ? undefined : state.planned?.targetBytes;
  }

  #findStored(targetBytes: number): PlanChange | undefined {
    const stored = this.#store.findPlan(this.#key, {
      leastBytes: targetBytes * (1 - BAND_RATIO),
      budgetBytes: targetBytes,
    });
    if (stored === undefined) return undefined;
    const plan = this.#rebuild(stored);
    // A plan of an older predictor may not keep what it promised.
    const fits = budgetedBytes(plan.predicted, this.config.weights) <= targetBytes;
    return fits ? { plan, origin: 'stored' } : undefined;
  }

  async #searchFor(targetBytes: number, wallMs: number): Promise<PlanChange> {
    try {
      const plan = await this.#search(targetBytes);
      this.#save(plan, targetBytes, wallMs);
      return { plan, origin: 'searched' };
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      this.#keepSmallest(error);
      return { plan: error.smallest, origin: 'searched' };
    }
  }

  /** Finds what the smallest plan needs. The store keeps it as the plan of budget 0, so that a restart needs no search. */
  async #findSmallest(): Promise<void> {
    const stored = this.#store.findPlan(this.#key, { leastBytes: 0, budgetBytes: 0 });
    if (stored !== undefined) {
      this.#smallestBytes = budgetedBytes(this.#rebuild(stored).predicted, this.config.weights);
      return;
    }
    try {
      await this.#search(0);
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      this.#keepSmallest(error);
    }
  }

  #keepSmallest({ smallest, smallestBytes }: BudgetError): void {
    this.#save(smallest, 0, Date.now());
    this.#smallestBytes = smallestBytes;
  }

  /** @throws {BudgetError} if none fits. */
  #search(budgetBytes: number): Promise<Plan> {
    const { strategy, weights } = this.config;
    const { graph } = this.network;
    const variants = variantsOf(this.#choice);
    const job = { graph, variants, ...this.#known, strategy, weights, budgetBytes };
    return searchInThread(job, this.#stop.signal);
  }

  /** The plan that a stored one stands for. */
  #rebuild({ notation, level, allocator, threads }: StoredPlan): Plan {
    return buildPlan(this.network.graph, parsePlan(notation), { ...this.#known, level, allocator, threads });
  }

  #save({ notation, settings, predicted }: Plan, budgetBytes: number, wallMs: number): void {
    const { workingBytes, weightsBytes } = predicted;
    const row = { budgetBytes, notation, ...settings, workingBytes, weightsBytes };
    this.#store.savePlan(this.#key, row, wallMs);
  }

  /** Facts of this model and device for the predictor. */
  get #known() {
    const profile = this.#profile === undefined ? {} : { profile: this.#profile };
    return { ...copying(this.#mapsWeights), ...profile };
  }

  get #key(): PlanKey {
    const { manifest, input } = this.network;
    const { strategy, weights } = this.config;
    return {
      planner: PLANNER_VERSION,
      modelDigest: manifest.digest,
      width: input.width,
      height: input.height,
      choice: JSON.stringify(this.#choice),
      strategy,
      weights,
      profile: this.#profile?.source ?? '',
      allocator: findAllocator().kind,
    };
  }
}
