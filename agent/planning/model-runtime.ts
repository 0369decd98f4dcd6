/** One model that the agent serves: its network, and the plan it runs by as the budget changes. */

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
import type { PressureLevel, PressureState } from '../board/pressure.js';
import { BAND_RATIO, decide, INITIAL_PRESSURE } from '../board/pressure.js';
import type { ModelConfig } from '../config/config-schema.js';
import type { EngineModel, MeasuredRun } from '../engine/inference-engine.js';
import type { PlanKey, Store, StoredPlan } from '../store/store.js';
import type { Network, SettingsChoice } from './open-model.js';
import { copying, strategyNamed, variantsOf } from './open-model.js';
import { searchInThread } from './search-thread.js';

/** Where a plan came from. */
export type PlanOrigin = 'stored' | 'searched';

export interface PlanChange {
  readonly plan: Plan;
  readonly origin: PlanOrigin;
  readonly targetBytes: number;
}

export interface RuntimeOptions {
  readonly store: Store;
  /** Costs of this device; built-in ones if absent. */
  readonly profile?: DeviceProfile;
  /** No other model is served: a change of the executor's memory settings is then rare. */
  readonly isAlone?: boolean;
}

/** Settings that the configuration fixes. Models that take turns share an executor, and so its memory settings. */
function choiceOf({ threads, level, malloc }: ModelConfig, isAlone: boolean): SettingsChoice {
  return {
    ...(threads === null ? {} : { threads }),
    ...(level === 'auto' ? {} : { level }),
    ...(malloc !== 'auto' ? { malloc } : isAlone ? {} : { malloc: 'trimmed' }),
  };
}

function keyOf({ notation, settings }: Plan): string {
  return JSON.stringify([notation, settings]);
}

export class ModelRuntime {
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
  /** Plans asked for so far. */
  #orders = 0;

  /** @throws {RangeError} if there is no such strategy. */
  constructor(network: Network, config: ModelConfig, { store, profile, isAlone = true }: RuntimeOptions) {
    strategyNamed(config.strategy);
    this.network = network;
    this.config = config;
    this.#store = store;
    this.#choice = choiceOf(config, isAlone);
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

  get engineModel(): EngineModel {
    return this.network;
  }

  get plan(): Plan | undefined {
    return this.#plan;
  }

  get level(): PressureLevel {
    return this.#pressure.level;
  }

  /** The last run that was measured. */
  get measured(): MeasuredRun | undefined {
    return this.#measured;
  }

  /** Keeps what a run really needed beside what was predicted for its plan. */
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

  /** Least budget that any plan of the strategy meets, in bytes. */
  get smallestBytes(): number {
    return this.#smallestBytes;
  }

  /** Weights couldn't be mapped after all: the next look at the budget orders a plan that counts their copies. */
  async countCopies(): Promise<void> {
    if (!this.#mapsWeights) return;
    this.#mapsWeights = false;
    this.#pressure = INITIAL_PRESSURE;
    await this.#findSmallest();
  }

  get #known() {
    const profile = this.#profile === undefined ? {} : { profile: this.#profile };
    return { ...copying(this.#mapsWeights), ...profile };
  }

  /** The plan that a stored one stands for. */
  #rebuild({ notation, level, malloc, threads }: StoredPlan): Plan {
    return buildPlan(this.network.graph, parsePlan(notation), { ...this.#known, level, malloc, threads });
  }

  /** @throws {BudgetError} if none fits. */
  #search(budgetBytes: number): Promise<Plan> {
    const { strategy, weights } = this.config;
    const { graph } = this.network;
    const variants = variantsOf(this.#choice);
    const job = { graph, variants, ...this.#known, strategy, weights, budgetBytes };
    return searchInThread(job, this.#stop.signal);
  }

  /** One look at the budget. @returns how many bytes to plan for, if it is time for another plan. */
  look(budgetBytes: number, steadyMs: number): number | undefined {
    const planBytes = this.#plan === undefined ? 0 : budgetedBytes(this.#plan.predicted, this.config.weights);
    const { state, action } = decide(this.#pressure, {
      budgetBytes,
      planBytes,
      smallestBytes: this.#smallestBytes,
      nowMs: steadyMs,
    });
    this.#pressure = state;
    return action === 'keep' ? undefined : state.planned?.targetBytes;
  }

  /**
   * Plans for a number of bytes. @returns the plan to change to; undefined if it is the one in force, or an order that
   * was given meanwhile has overtaken this one. Where none fits it is the smallest there is.
   */
  async planFor(targetBytes: number, wallMs: number): Promise<PlanChange | undefined> {
    this.#orders += 1;
    const order = this.#orders;
    const change = this.#findStored(targetBytes) ?? (await this.#searchFor(targetBytes, wallMs));
    if (order !== this.#orders) return undefined;
    const isSame = this.#plan !== undefined && keyOf(change.plan) === keyOf(this.#plan);
    this.#plan = change.plan;
    return isSame ? undefined : change;
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
    return fits ? { plan, origin: 'stored', targetBytes } : undefined;
  }

  async #searchFor(targetBytes: number, wallMs: number): Promise<PlanChange> {
    try {
      const plan = await this.#search(targetBytes);
      this.#save(plan, targetBytes, wallMs);
      return { plan, origin: 'searched', targetBytes };
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      this.#keepSmallest(error);
      return { plan: error.smallest, origin: 'searched', targetBytes };
    }
  }

  /** Finds what the smallest plan needs. Kept in the store as the plan of budget 0, so that a restart needs no search. */
  async #findSmallest(): Promise<void> {
    const stored = this.#store.findPlan(this.#key, { leastBytes: 0, budgetBytes: 0 });
    const { weights } = this.config;
    if (stored !== undefined) {
      this.#smallestBytes = budgetedBytes(this.#rebuild(stored).predicted, weights);
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

  #save({ notation, settings, predicted }: Plan, budgetBytes: number, wallMs: number): void {
    const { workingBytes, weightsBytes } = predicted;
    this.#store.savePlan(
      this.#key,
      { budgetBytes, notation, ...settings, workingBytes, weightsBytes },
      wallMs,
    );
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
    };
  }
}
