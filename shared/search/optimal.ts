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
 * Not exact: labels that are close count as equal (plan-labels.ts), step sizes, grids and lengths are limited
 * (range-option.ts), tiles are looked at only where streams cost TILES_FROM, rows between links are counted as if both
 * ends were at their worst, and the largest weights are tried at WEIGHT_CAPS sizes. A plan that is found does fit.
 */
import type { Graph } from '../graph/graph.js';
import { memoByGraph } from '../graph/memo.js';
import { BUILT_IN_PROFILE } from '../memory/built-in-profile.js';
import { costsFor } from '../memory/device-profile.js';
import { fixedBytes, sessionShare, weightsBytes } from '../memory/predict.js';
import { WHOLE } from '../tile/mode.js';
import type { PlanNotation } from './notation.js';
import { budgetedBytes, buildPlan } from './plan.js';
import type { LabelLimits, Solution } from './plan-labels.js';
import { solveLabels } from './plan-labels.js';
import { ALTERNATIVES, LEAN_ALTERNATIVES, optionContext } from './range-option.js';
import { RangeTable } from './range-table.js';
import type { SearchOptions } from './strategy.js';

/** Most sessions of a plan: each costs memory, and threads that have to be started. */
const SESSIONS = [1, 2, 4, 8, 16];

/** Tiles compute their halos again: they are looked at where streams take this much longer than the untiled run. */
const TILES_FROM = 1.25;

/** Sizes of the largest segment's weights that are tried. */
const WEIGHT_CAPS = 12;

export interface Found {
  readonly notation: PlanNotation;
  readonly latencyMs: number;
}

/** The plan for the budget; behind it, for whoever can't have that, the smallest one. */
export function* optimalCandidates(graph: Graph, options: SearchOptions): Generator<PlanNotation> {
  const search = searchOf(graph, options);
  const found = search.within(options.budgetBytes);
  if (found !== undefined) yield found.notation;
  yield search.smallest();
}

/** Options of ranges don't depend on the budget: a service that plans anew finds them worked out. */
function searchOf(graph: Graph, options: SearchOptions): OptimalSearch {
  const { threads, level, weights, profile, copiesWeights } = options;
  const known = searches(graph);
  const key = [threads, level, weights, profile?.source, copiesWeights].join();
  const search = known.get(key) ?? new OptimalSearch(graph, options);
  known.set(key, search);
  return search;
}

const searches = memoByGraph(() => new Map<string, OptimalSearch>());

/** How near the smallest budget is found. */
const NEAR_BYTES = 64 * 1024;

interface Assumed {
  readonly budgetBytes: number;
  readonly weightsCap: number;
  readonly links: boolean;
  readonly best: Found | undefined;
}

/** Searches one graph, at any number of budgets. */
export class OptimalSearch {
  readonly #graph: Graph;
  readonly #options: Omit<SearchOptions, 'budgetBytes'>;
  /** Ranges without and with tiles, which take long to plan. */
  readonly #lean: RangeTable;
  readonly #full: RangeTable;

  constructor(graph: Graph, options: Omit<SearchOptions, 'budgetBytes'>) {
    const cost = costsFor(options.profile ?? BUILT_IN_PROFILE, options.threads);
    this.#graph = graph;
    this.#options = options;
    const context = optionContext(graph, options, cost);
    this.#lean = new RangeTable(context, LEAN_ALTERNATIVES);
    this.#full = new RangeTable(context, ALTERNATIVES);
  }

  /** @returns undefined if no plan fits. */
  within(budgetBytes: number): Found | undefined {
    const lean = this.#search(this.#lean, { budgetBytes });
    const isFast = lean !== undefined && lean.latencyMs <= TILES_FROM * this.#lean.leastLatency(0);
    return isFast ? lean : (this.#search(this.#full, { budgetBytes, best: lean }) ?? lean);
  }

  #search(
    table: RangeTable,
    { budgetBytes, best }: { budgetBytes: number; best?: Found | undefined },
  ): Found | undefined {
    let found = best;
    // Without links it is quick, and what it finds narrows the search with them.
    for (const links of [false, true]) {
      for (const weightsCap of this.#weightCaps()) {
        found = this.#searchSessions(table, { budgetBytes, weightsCap, links, best: found });
      }
    }
    return found;
  }

  #searchSessions(table: RangeTable, { budgetBytes, weightsCap, links, best }: Assumed): Found | undefined {
    let found = best;
    for (const sessions of SESSIONS) {
      const latencyMs = found?.latencyMs ?? Number.POSITIVE_INFINITY;
      const solution = this.#solve(table, budgetBytes, { weightsCap, sessions, latencyMs, links });
      found = solution ?? found;
      // With more sessions there is only less room.
      if (solution?.isFree === true) break;
    }
    return found;
  }

  /** The plan of the least budget that can be met, tiles apart. */
  smallest(): PlanNotation {
    const whole = { modes: [WHOLE], cuts: [] };
    let least: PlanNotation = whole;
    const needOf = (notation: PlanNotation) =>
      budgetedBytes(buildPlan(this.#graph, notation, this.#options).predicted, this.#options.weights);
    let [tooSmall, enough] = [0, needOf(whole)];
    while (enough - tooSmall > NEAR_BYTES) {
      const middle = (tooSmall + enough) / 2;
      const found = this.#search(this.#lean, { budgetBytes: middle });
      if (found === undefined) tooSmall = middle;
      else {
        least = found.notation;
        enough = Math.min(middle, needOf(least));
      }
    }
    return least;
  }

  #solve(
    table: RangeTable,
    budgetBytes: number,
    limits: Omit<LabelLimits, 'workingBytes'>,
  ): Solution | undefined {
    const resident = this.#options.weights === 'resident' ? limits.weightsCap : 0;
    const fixed = fixedBytes(this.#graph, this.#options) + limits.sessions * sessionShare();
    // Predictions are rounded to bytes.
    const workingBytes = budgetBytes - resident - fixed + 1;
    return workingBytes <= 0 ? undefined : solveLabels(table, { ...limits, workingBytes });
  }

  #weightCaps(): readonly number[] {
    if (this.#options.weights === 'evictable') return [Number.POSITIVE_INFINITY];
    const { cuts } = this.#lean;
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
