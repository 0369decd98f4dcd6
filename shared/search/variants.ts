/** Variants are several settings that a plan may have. This file searches under each and takes the best. */

import type { Graph } from '../graph/index.js';
import type { RunSettings } from '../predict/index.js';
import { KERNELS, kernelsOf } from '../predict/index.js';
import type { Plan } from './plan.js';
import type { FrontPoint } from './plan-front.js';
import { planFront, withoutDominated } from './plan-front.js';
import type { SearchOptions, Strategy } from './strategy.js';
import { BudgetError, searchFaster, searchPlan } from './strategy.js';

/** Options that hold for all variants. */
export type SharedOptions = Omit<SearchOptions, keyof RunSettings | 'fasterThanMs'>;

/**
 * Searches under each of several settings, and returns the plan that fits with the least predicted latency. Of
 * equals the first is taken, so settings that take less memory should stand first.
 *
 * @throws {BudgetError} if none fits, with the smallest of all.
 */
export function searchVariants(
  graph: Graph,
  strategy: Strategy,
  { variants, ...options }: SharedOptions & { readonly variants: readonly RunSettings[] },
): Plan {
  let best: Plan | undefined;
  for (const settings of variants) {
    const fasterThanMs = best?.predicted.latencyMs ?? Number.POSITIVE_INFINITY;
    best = searchFaster(graph, strategy, { ...options, ...settings, fasterThanMs }) ?? best;
  }
  return best ?? searchLeanest(graph, strategy, { variants, ...options });
}

/** Searches where no fast plan fits, for the smallest plan of all. @throws {BudgetError} with it, unless it fits. */
function searchLeanest(
  graph: Graph,
  strategy: Strategy,
  { variants, ...options }: SharedOptions & { readonly variants: readonly RunSettings[] },
): Plan {
  let least: BudgetError | undefined;
  for (const settings of leanest(variants)) {
    try {
      return searchPlan(graph, strategy, { ...options, ...settings });
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      if (least === undefined || error.smallestBytes < least.smallestBytes) least = error;
    }
  }
  throw (
    least ??
    new RangeError(`Cannot plan "${graph.name}": there are no settings to run it by, expected at least one`)
  );
}

/**
 * Returns the settings that need the least memory with any plan: workspace for the fewest threads.
 * Either kind of kernels may need less. The blocked ones have no workspace, and the others no copies of weights.
 */
function leanest(variants: readonly RunSettings[]): readonly RunSettings[] {
  return KERNELS.flatMap((kernels) =>
    variants
      .filter(({ level }) => kernelsOf(level) === kernels)
      .toSorted((a, b) => a.threads - b.threads)
      .slice(0, 1),
  );
}

/** Whether a plan has less latency than another, or the same with less memory. */
export function isBetter({ predicted: a }: Plan, { predicted: b }: Plan): boolean {
  return a.latencyMs < b.latencyMs || (a.latencyMs === b.latencyMs && a.peakBytes < b.peakBytes);
}

/** Makes one front of those of several settings. Plans that another one beats in memory and latency are left out. */
export function frontOfVariants(
  graph: Graph,
  {
    variants,
    ...options
  }: Omit<SharedOptions, 'budgetBytes'> & { readonly variants: readonly RunSettings[] },
): readonly FrontPoint[] {
  return withoutDominated(variants.flatMap((settings) => planFront(graph, { ...options, ...settings })));
}
