/** One model that the agent serves: its network, and the plan it runs by as the budget changes. */
import type { Plan, Strategy } from '../shared/index.js';
import {
  BudgetError,
  budgetedBytes,
  buildPlan,
  PLANNER_VERSION,
  parsePlan,
  searchPlan,
} from '../shared/index.js';
import type { ModelConfig } from './config/config-schema.js';
import type { EngineModel, MeasuredRun } from './engine/inference-engine.js';
import type { PressureLevel, PressureState } from './memory/pressure.js';
import { BAND_RATIO, decide, INITIAL_PRESSURE } from './memory/pressure.js';
import type { Network } from './open-model.js';
import { copying, STRATEGIES } from './open-model.js';
import type { PlanKey, Store } from './store/store.js';

/** Where a plan came from. */
export type PlanOrigin = 'stored' | 'searched';

export interface PlanChange {
  readonly plan: Plan;
  readonly origin: PlanOrigin;
  readonly targetBytes: number;
}

export class ModelRuntime {
  readonly network: Network;
  readonly config: ModelConfig;
  readonly #store: Store;
  readonly #strategy: Strategy;
  #pressure: PressureState = INITIAL_PRESSURE;
  #plan: Plan | undefined;
  #measured: MeasuredRun | undefined;
  #mapsWeights: boolean;
  #smallestBytes: number;

  /** @throws {RangeError} if there is no such strategy. */
  constructor(network: Network, config: ModelConfig, store: Store) {
    const strategy = STRATEGIES.get(config.strategy);
    if (strategy === undefined) {
      const known = [...STRATEGIES.keys()].join(', ');
      throw new RangeError(
        `Cannot plan "${config.name}" by strategy "${config.strategy}": expected ${known}`,
      );
    }
    this.network = network;
    this.config = config;
    this.#store = store;
    this.#strategy = strategy;
    this.#mapsWeights = network.mapsWeights;
    this.#smallestBytes = this.#smallest();
  }

  get engineModel(): EngineModel {
    const { name, graph, folder, input, checkFiles } = this.network;
    const { threads, level } = this.config;
    return { name, graph, folder, input, threads, level, checkFiles };
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
    this.#store.addMeasurement(
      { model, notation: plan.notation, predictedBytes, measuredBytes, latencyMs },
      wallMs,
    );
  }

  /** Least budget that any plan of the strategy meets, in bytes. */
  get smallestBytes(): number {
    return this.#smallestBytes;
  }

  /** Weights couldn't be mapped after all: the next look at the budget orders a plan that counts their copies. */
  countCopies(): void {
    if (!this.#mapsWeights) return;
    this.#mapsWeights = false;
    this.#smallestBytes = this.#smallest();
    this.#pressure = INITIAL_PRESSURE;
  }

  get #settings() {
    return { ...this.config, ...copying(this.#mapsWeights) };
  }

  /** One look at the budget. @returns the plan to change to, if it is time for another. */
  update(
    budgetBytes: number,
    now: { readonly steadyMs: number; readonly wallMs: number },
  ): PlanChange | undefined {
    const planBytes = this.#plan === undefined ? 0 : budgetedBytes(this.#plan.predicted, this.config.weights);
    const { smallestBytes } = this;
    const { state, action } = decide(this.#pressure, {
      budgetBytes,
      planBytes,
      smallestBytes,
      nowMs: now.steadyMs,
    });
    this.#pressure = state;
    if (action === 'keep' || state.planned === undefined) return undefined;
    const change = this.#planFor(state.planned.targetBytes, now.wallMs);
    const isSame = change.plan.notation === this.#plan?.notation;
    this.#plan = change.plan;
    if (isSame) return undefined;
    return change;
  }

  #planFor(targetBytes: number, wallMs: number): PlanChange {
    const stored = this.#store.findPlan(this.#key, {
      leastBytes: targetBytes * (1 - BAND_RATIO),
      budgetBytes: targetBytes,
    });
    if (stored !== undefined) {
      const plan = buildPlan(this.network.graph, parsePlan(stored.notation), this.#settings);
      // A plan of an older predictor may not keep what it promised.
      if (budgetedBytes(plan.predicted, this.config.weights) <= targetBytes)
        return { plan, origin: 'stored', targetBytes };
    }
    const plan = searchPlan(this.network.graph, this.#strategy, {
      ...this.#settings,
      budgetBytes: targetBytes,
    });
    const { workingBytes, weightsBytes } = plan.predicted;
    const { notation } = plan;
    this.#store.savePlan(
      this.#key,
      { budgetBytes: targetBytes, notation, workingBytes, weightsBytes },
      wallMs,
    );
    return { plan, origin: 'searched', targetBytes };
  }

  /** Kept in the store as the plan of budget 0, so that a restart needs no search. */
  #smallest(): number {
    const { graph } = this.network;
    const stored = this.#store.findPlan(this.#key, { leastBytes: 0, budgetBytes: 0 });
    if (stored !== undefined) {
      const { predicted } = buildPlan(graph, parsePlan(stored.notation), this.#settings);
      return budgetedBytes(predicted, this.config.weights);
    }
    try {
      searchPlan(graph, this.#strategy, { ...this.#settings, budgetBytes: 0 });
      return 0;
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      const { notation, predicted } = error.smallest;
      this.#store.savePlan(this.#key, { ...predicted, budgetBytes: 0, notation }, Date.now());
      return error.smallestBytes;
    }
  }

  get #key(): PlanKey {
    const { manifest, input } = this.network;
    const { threads, level, strategy, weights } = this.config;
    return {
      planner: PLANNER_VERSION,
      modelDigest: manifest.digest,
      width: input.width,
      height: input.height,
      threads,
      level,
      strategy,
      weights,
    };
  }
}
