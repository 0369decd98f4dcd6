/**
 * The plan with the least predicted latency within a budget, over all cuts between layers and all ALTERNATIVES of
 * each segment, linked streams included.
 *
 * 1. List the options of every range between two cuts; drop those that another one beats in everything.
 * 2. Peak = the largest segment's working memory + the largest segment's weights, and each session takes its
 *    share. So assume how large weights may be and how many sessions there are; then a segment fits or it
 *    doesn't, whatever the others are.
 * 3. Dynamic programming over the cuts: at each, the labels that no other one beats. A label is closed (a full
 *    map is there), or within linked streams, whose held bytes add up and whose largest step counts.
 * 4. Take the best over all assumptions.
 *
 * Exact by the predictor's account, but for two bounds that are safe: rows between links are counted as if both
 * ends were at their worst, and largest weights are tried at WEIGHT_CAPS sizes.
 */
import type { Graph } from '../graph/graph.js';
import { BUILT_IN_PROFILE } from '../memory/built-in-profile.js';
import { costsFor } from '../memory/device-profile.js';
import { fixedBytes, sessionShare, weightsBytes } from '../memory/predict.js';
import type { PlanNotation } from './notation.js';
import type { LabelLimits, Solution } from './plan-labels.js';
import { solveLabels } from './plan-labels.js';
import { RangeTable } from './range-table.js';
import type { SearchOptions } from './strategy.js';

/** Most sessions of a plan: each costs memory, and threads that have to be started. */
const SESSIONS = [2, 4, 8, 16];

/** Sizes of the largest segment's weights that are tried. */
const WEIGHT_CAPS = 12;

export interface Found {
  readonly notation: PlanNotation;
  readonly latencyMs: number;
}

/** Searches one graph, at any number of budgets. */
export class OptimalSearch {
  readonly #graph: Graph;
  readonly #options: Omit<SearchOptions, 'budgetBytes'>;
  readonly #table: RangeTable;

  constructor(graph: Graph, options: Omit<SearchOptions, 'budgetBytes'>) {
    const cost = costsFor(options.profile ?? BUILT_IN_PROFILE, options.threads);
    this.#graph = graph;
    this.#options = options;
    this.#table = new RangeTable(graph, options, cost);
  }

  /** @returns undefined if no plan fits. */
  within(budgetBytes: number): Found | undefined {
    let best: Found | undefined;
    for (const weightsCap of this.#weightCaps()) {
      for (const sessions of SESSIONS) {
        const latencyMs = best?.latencyMs ?? Number.POSITIVE_INFINITY;
        const found = this.#solve(budgetBytes, { weightsCap, sessions, latencyMs });
        best = found ?? best;
        // With more sessions there is only less room.
        if (found?.isFree === true) break;
      }
    }
    return best;
  }

  #solve(budgetBytes: number, limits: Omit<LabelLimits, 'workingBytes'>): Solution | undefined {
    const resident = this.#options.weights === 'resident' ? limits.weightsCap : 0;
    const fixed = fixedBytes(this.#graph, this.#options) + limits.sessions * sessionShare();
    const workingBytes = budgetBytes - resident - fixed;
    return workingBytes <= 0 ? undefined : solveLabels(this.#table, { ...limits, workingBytes });
  }

  #weightCaps(): readonly number[] {
    if (this.#options.weights === 'evictable') return [Number.POSITIVE_INFINITY];
    const { cuts } = this.#table;
    const all = weightsBytes(this.#graph, { from: 0, to: this.#graph.nodes.length });
    const least = Math.max(
      ...cuts.slice(1).map((to, at) => weightsBytes(this.#graph, { from: cuts[at] ?? 0, to })),
    );
    const caps = Array.from(
      { length: WEIGHT_CAPS },
      (_, at) => least + ((all - least) * at) / (WEIGHT_CAPS - 1),
    );
    return [...new Set(caps)];
  }
}
