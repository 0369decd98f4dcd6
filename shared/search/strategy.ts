/** A strategy is an order of candidates. This file takes the first of them that fits a budget. */

import type { Graph } from '../graph/index.js';
import type { PredictSettings } from '../predict/index.js';
import type { PlanNotation } from './notation.js';
import type { Plan, WeightsPolicy } from './plan.js';
import { budgetedBytes, buildPlan } from './plan.js';

/** The budget of a search, and the settings of its plans. */
export interface SearchOptions extends PredictSettings {
  readonly budgetBytes: number;
  readonly weights: WeightsPolicy;
  /** Latency that a plan must stay below. If it is given, a strategy needn't say what the smallest plan is. */
  readonly fasterThanMs?: number;
}

/**
 * A strategy gives candidates in the order in which it would take them. It doesn't judge them, so that all strategies
 * stand on the same predictor.
 */
export type Strategy = (graph: Graph, options: SearchOptions) => Iterable<PlanNotation>;

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

/** Returns the first candidate that is predicted to fit. @returns undefined if none fits, or it isn't fast enough. */
export function searchFaster(
  graph: Graph,
  strategy: Strategy,
  { fasterThanMs, ...options }: SearchOptions & { readonly fasterThanMs: number },
): Plan | undefined {
  for (const notation of strategy(graph, { ...options, fasterThanMs })) {
    const plan = buildPlan(graph, notation, options);
    if (budgetedBytes(plan.predicted, options.weights) > options.budgetBytes) continue;
    return plan.predicted.latencyMs < fasterThanMs ? plan : undefined;
  }
  return undefined;
}

/** Returns the first candidate that is predicted to fit. @throws {BudgetError} if none does. */
export function searchPlan(graph: Graph, strategy: Strategy, options: SearchOptions): Plan {
  let smallest: Plan | undefined;
  const need = (plan: Plan) => budgetedBytes(plan.predicted, options.weights);
  for (const notation of strategy(graph, options)) {
    const plan = buildPlan(graph, notation, options);
    if (need(plan) <= options.budgetBytes) return plan;
    if (smallest === undefined || need(plan) < need(smallest)) smallest = plan;
  }
  if (smallest === undefined)
    throw new RangeError(
      `Cannot plan "${graph.name}": the strategy has no candidates, expected at least one`,
    );
  throw new BudgetError(options.budgetBytes, smallest, need(smallest));
}
