/** A strategy is an order of candidates. This file takes the first of them that fits a budget. */

import type { Graph } from '../graph/index.js';
import { present } from '../graph/index.js';
import type { PredictSettings, RunSettings } from '../predict/index.js';
import type { PlanNotation } from './notation.js';
import type { Plan, WeightsPolicy } from './plan.js';
import { breachOf, budgetedBytes, InexactPlanError, layPlan } from './plan.js';

/** The settings of the plans of a strategy. */
export interface StrategyOptions extends PredictSettings {
  readonly weights: WeightsPolicy;
}

/** The budget of a search, and the settings of its plans. */
export interface SearchOptions extends StrategyOptions {
  readonly budgetBytes: number;
}

/**
 * A strategy gives candidates in the order in which it would take them. It doesn't judge them, so that all strategies
 * stand on the same predictor.
 */
export type Strategy = (graph: Graph, options: StrategyOptions) => Iterable<PlanNotation>;

/** The error that no candidate fits. `smallestBytes` is the least budget that one of them would meet. */
export class BudgetError extends RangeError {
  override readonly name = 'BudgetError';
  readonly code = 'BUDGET_TOO_SMALL';
  readonly smallestBytes: number;
  readonly smallest: Plan;

  constructor(budgetBytes: number, smallest: Plan, smallestBytes: number) {
    const mebi = (bytes: number) => `${Math.ceil((bytes / 2 ** 20) * 10) / 10}M`;
    super(
      `Cannot plan within ${mebi(budgetBytes)}: the smallest plan, ${smallest.notation}, needs ${mebi(smallestBytes)}`,
    );
    this.smallestBytes = smallestBytes;
    this.smallest = smallest;
  }
}

/**
 * Returns the first candidate that is predicted to fit.
 * @throws {BudgetError} if none does; {InexactPlanError} if all break the law of exactness.
 */
export function searchPlan(graph: Graph, strategy: Strategy, options: SearchOptions): Plan {
  let smallest: Plan | undefined;
  let refused: InexactPlanError | undefined;
  const need = (plan: Plan) => budgetedBytes(plan.predicted, options.weights);
  for (const notation of strategy(graph, options)) {
    const plan = layPlan(graph, notation, options);
    const breach = breachOf(graph, plan);
    refused ??= breach;
    if (breach !== undefined) continue;
    if (need(plan) <= options.budgetBytes) return plan;
    if (smallest === undefined || need(plan) < need(smallest)) smallest = plan;
  }
  if (smallest === undefined)
    throw (
      refused ??
      new RangeError(`Cannot plan "${graph.name}": the strategy has no candidates, expected at least one`)
    );
  throw new BudgetError(options.budgetBytes, smallest, need(smallest));
}

/** Options that hold for all variants, and the settings that differ between them. */
export type VariantOptions = Omit<SearchOptions, keyof RunSettings> & {
  readonly variants: readonly RunSettings[];
};

/**
 * Searches under each of several settings, and returns the plan that fits with the least predicted latency. Of
 * equals the first is taken, so settings that take less memory should stand first.
 *
 * @throws {BudgetError} if none fits, with the smallest of all; {InexactPlanError} if all break the law of exactness.
 */
export function searchVariants(
  graph: Graph,
  strategy: Strategy,
  { variants, ...options }: VariantOptions,
): Plan {
  let best: Plan | undefined;
  let least: BudgetError | undefined;
  let refused: InexactPlanError | undefined;
  for (const settings of variants) {
    try {
      const plan = searchPlan(graph, strategy, { ...options, ...settings });
      if (best === undefined || plan.predicted.latencyMs < best.predicted.latencyMs) best = plan;
    } catch (error) {
      if (error instanceof InexactPlanError) refused ??= error;
      else if (!(error instanceof BudgetError)) throw error;
      else if (least === undefined || error.smallestBytes < least.smallestBytes) least = error;
    }
  }
  if (best !== undefined) return best;
  throw present(least ?? refused, 'settings to plan by');
}
