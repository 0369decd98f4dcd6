import type { Graph } from '../graph/graph.js';
import type { RunSettings } from '../memory/run-settings.js';
import { isBlocked } from '../memory/run-settings.js';
import type { Plan } from './plan.js';
import type { FrontPoint } from './plan-front.js';
import { planFront, withoutDominated } from './plan-front.js';
import type { SearchOptions, Strategy } from './strategy.js';
import { searchFaster, searchPlan } from './strategy.js';

/** What holds for all variants. */
export type SharedOptions = Omit<SearchOptions, keyof RunSettings | 'fasterThanMs'>;

/**
 * A strategy's plan under each of several settings: of those that fit, the one with the least predicted latency. Of
 * equals the first is taken, so that what takes less memory should stand first.
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
  return best ?? searchPlan(graph, strategy, { ...options, ...leanest(variants, options) });
}

/** What any plan needs least memory with: given back at once, no weights copied, no scratch for more than one thread. */
function leanest(
  variants: readonly RunSettings[],
  { copiesWeights }: Pick<SharedOptions, 'copiesWeights'>,
): RunSettings {
  const rank = ({ level, malloc, threads }: RunSettings) =>
    (malloc === 'trimmed' ? 0 : 2e6) + ((copiesWeights ?? isBlocked(level)) ? 1e6 : 0) + threads;
  return variants.reduce((least, settings) => (rank(settings) < rank(least) ? settings : least));
}

/** Least latency, then least memory. */
export function isBetter({ predicted: a }: Plan, { predicted: b }: Plan): boolean {
  return a.latencyMs < b.latencyMs || (a.latencyMs === b.latencyMs && a.peakBytes < b.peakBytes);
}

/** The fronts of several settings as one; what another plan beats in memory and latency alike is left out. */
export function frontOfVariants(
  graph: Graph,
  {
    variants,
    ...options
  }: Omit<SharedOptions, 'budgetBytes'> & { readonly variants: readonly RunSettings[] },
): readonly FrontPoint[] {
  return withoutDominated(variants.flatMap((settings) => planFront(graph, { ...options, ...settings })));
}
