/**
 * The plan with the least predicted latency within a budget, over all cuts between layers and all ALTERNATIVES of
 * each segment, linked streams included.
 *
 * 1. List the options of every range between two cuts; drop those that another one beats in everything.
 * 2. Peak = the largest segment's working memory + the largest segment's weights, and each session takes its
 *    share. So assume how large weights may be and how many sessions are paid for; then a segment fits or it
 *    doesn't, whatever the others are.
 * 3. Dynamic programming over the cuts: at each, the labels that no other one beats. A label is closed (a full
 *    map is there), or within linked streams, whose held bytes add up and whose largest step counts.
 * 4. A plan that has more sessions than were paid for is no plan yet: pay for as many as it has, and look again.
 *    Take the best over all sizes of weights.
 *
 * The untiled run is taken at once where nothing can beat it: it fits, and does no more than every plan must.
 *
 * Not exact: labels that are close count as equal (plan-labels.ts), step sizes, grids and lengths are limited
 * (range-option.ts), tiles are looked at only where streams cost TILES_FROM, rows between links are counted as if both
 * ends were at their worst, the largest weights are tried at WEIGHT_CAPS sizes, and a plan may have paid for
 * a session or two more than it has. A plan that is found does fit.
 */
import type { Graph } from '../graph/graph.js';
import { tensorAt, tensorBytes } from '../graph/graph.js';
import { memoByGraph } from '../graph/memo.js';
import { BUILT_IN_PROFILE } from '../memory/built-in-profile.js';
import { costsFor, latencyOf } from '../memory/device-profile.js';
import { fixedBytes, sessionShare, weightsBytes } from '../memory/predict.js';
import { WHOLE } from '../tile/mode.js';
import type { PlanNotation } from './notation.js';
import type { Plan } from './plan.js';
import { budgetedBytes, buildPlan } from './plan.js';
import type { LabelLimits, Solution } from './plan-labels.js';
import { solveLabels } from './plan-labels.js';
import { ALTERNATIVES, LEAN_ALTERNATIVES, optionContext } from './range-option.js';
import { RangeShapes } from './range-shapes.js';
import { RangeTable } from './range-table.js';
import type { SearchOptions } from './strategy.js';

/** Tiles compute their halos again: they are looked at where streams take this much longer than the untiled run. */
const TILES_FROM = 1.25;

/** Sizes of the largest segment's weights that are tried. */
const WEIGHT_CAPS = 12;

/** More sessions than this help nobody: each costs memory, and threads that have to be started. */
const MOST_SESSIONS = 32;

/** Numbers of sessions that are tried one after the other, each about this part of the one before. */
const SESSIONS_RATIO = 0.75;

export interface Found {
  readonly notation: PlanNotation;
  readonly latencyMs: number;
}

/** The plan for the budget; behind it, for whoever can't have that, the smallest one. */
export function* optimalCandidates(graph: Graph, options: SearchOptions): Generator<PlanNotation> {
  const search = searchOf(graph, options);
  const found = search.within(options.budgetBytes, options.fasterThanMs);
  if (found !== undefined) yield found.notation;
  if (options.fasterThanMs === undefined) yield search.smallest();
}

/** Options of ranges don't depend on the budget: a service that plans anew finds them worked out. */
function searchOf(graph: Graph, options: SearchOptions): OptimalSearch {
  const { threads, level, malloc, weights, profile, copiesWeights } = options;
  const known = searches(graph);
  const key = [threads, level, malloc, weights, profile?.source, copiesWeights].join();
  const search = known.get(key) ?? new OptimalSearch(graph, options);
  known.set(key, search);
  return search;
}

const searches = memoByGraph(() => new Map<string, OptimalSearch>());

/** Ranges without and with tiles, which take long to plan. */
interface Geometry {
  readonly lean: RangeShapes;
  readonly full: RangeShapes;
}

/** Shared by all searches of a graph with as many threads. */
function geometryOf(graph: Graph, threads: number): Geometry {
  const known = geometries(graph).get(threads);
  if (known !== undefined) return known;
  const context = optionContext(graph, threads);
  const made = {
    lean: new RangeShapes(context, LEAN_ALTERNATIVES),
    full: new RangeShapes(context, ALTERNATIVES),
  };
  geometries(graph).set(threads, made);
  return made;
}

const geometries = memoByGraph(() => new Map<number, Geometry>());

/** How near the smallest budget is found. */
const NEAR_BYTES = 128 * 1024;

interface Assumed {
  readonly budgetBytes: number;
  readonly weightsCap: number;
  readonly links: boolean;
  readonly fasterThanMs: number;
}

/** Searches one graph, at any number of budgets. */
export class OptimalSearch {
  readonly #graph: Graph;
  readonly #options: Omit<SearchOptions, 'budgetBytes'>;
  readonly #lean: RangeTable;
  readonly #full: RangeTable;
  readonly #whole: Plan;
  /** What every plan does at least: all kernels once, the input read, the outputs written, one session run. */
  readonly #leastMs: number;

  constructor(graph: Graph, options: Omit<SearchOptions, 'budgetBytes'>) {
    const costs = costsFor(options.profile ?? BUILT_IN_PROFILE, options);
    const { lean, full } = geometryOf(graph, options.threads);
    this.#graph = graph;
    this.#options = options;
    const settings = { costs, malloc: options.malloc ?? 'trimmed' };
    this.#lean = new RangeTable(lean, settings);
    this.#full = new RangeTable(full, settings);
    this.#whole = buildPlan(graph, { modes: [WHOLE], cuts: [] }, options);
    const work = lean.context.wholes.nodeWork({ from: 0, to: graph.nodes.length });
    const ends = [...graph.inputs, ...graph.outputs].map((index) => tensorAt(graph, index));
    work.steps += 1;
    work.copiedBytes += ends.reduce(
      (sum, tensor) => sum + (tensor.constant === null ? tensorBytes(tensor) : 0),
      0,
    );
    this.#leastMs = latencyOf(work, costs);
  }

  /** @returns undefined if no plan fits, or none is faster than asked. */
  within(budgetBytes: number, fasterThanMs = Number.POSITIVE_INFINITY): Found | undefined {
    if (this.#leastMs >= fasterThanMs) return undefined;
    if (this.#isUntiledBest(budgetBytes))
      return { notation: UNTILED, latencyMs: this.#whole.predicted.latencyMs };
    const lean = this.#search(this.#lean, budgetBytes, fasterThanMs);
    const isFast = lean !== undefined && lean.latencyMs <= TILES_FROM * this.#whole.predicted.latencyMs;
    return isFast ? lean : (this.#search(this.#full, budgetBytes, lean?.latencyMs ?? fasterThanMs) ?? lean);
  }

  /** The plan of the least budget that can be met, tiles apart. */
  smallest(): PlanNotation {
    let least = UNTILED;
    let [tooSmall, enough] = [0, this.#needOf(UNTILED)];
    while (enough - tooSmall > NEAR_BYTES) {
      const middle = (tooSmall + enough) / 2;
      const found = this.#search(this.#lean, middle, Number.POSITIVE_INFINITY);
      if (found === undefined) tooSmall = middle;
      else {
        least = found.notation;
        enough = Math.min(middle, this.#needOf(least));
      }
    }
    return least;
  }

  #isUntiledBest(budgetBytes: number): boolean {
    const { predicted } = this.#whole;
    const fits = budgetedBytes(predicted, this.#options.weights) <= budgetBytes;
    return fits && predicted.latencyMs <= this.#leastMs * (1 + ROUNDING);
  }

  #needOf(notation: PlanNotation): number {
    return budgetedBytes(buildPlan(this.#graph, notation, this.#options).predicted, this.#options.weights);
  }

  #search(table: RangeTable, budgetBytes: number, fasterThanMs: number): Found | undefined {
    let found: Found | undefined;
    // Without links it is quick, and what it finds narrows the search with them.
    for (const links of [false, true]) {
      for (const weightsCap of this.#weightCaps()) {
        const assumed = { budgetBytes, weightsCap, links, fasterThanMs: found?.latencyMs ?? fasterThanMs };
        found = this.#searchSessions(table, assumed) ?? found;
      }
    }
    return found;
  }

  #searchSessions(table: RangeTable, { budgetBytes, fasterThanMs, ...assumed }: Assumed): Found | undefined {
    const limits = { ...assumed, latencyMs: fasterThanMs, sessions: Number.POSITIVE_INFINITY };
    let paid = 1;
    for (let first = true; paid <= MOST_SESSIONS; first = false) {
      const solution = this.#solve(table, { budgetBytes, paid }, limits);
      if (solution === undefined && first) return undefined;
      if (solution === undefined) break;
      if (solution.sessions <= paid) return solution;
      paid = solution.sessions;
    }
    return this.#searchFewer(table, { budgetBytes, ...limits, sessions: Math.min(paid, MOST_SESSIONS) - 1 });
  }

  /** As many sessions as the best plan would have are too many: what can be had with fewer, for each number of them. */
  #searchFewer(
    table: RangeTable,
    {
      budgetBytes,
      sessions: most,
      ...limits
    }: Omit<LabelLimits, 'workingBytes'> & { readonly budgetBytes: number },
  ): Found | undefined {
    let found: Found | undefined;
    for (let paid = most; paid >= 1; paid = Math.min(paid - 1, Math.floor(paid * SESSIONS_RATIO))) {
      const latencyMs = found?.latencyMs ?? limits.latencyMs;
      found = this.#solve(table, { budgetBytes, paid }, { ...limits, latencyMs, sessions: paid }) ?? found;
    }
    return found;
  }

  #solve(
    table: RangeTable,
    { budgetBytes, paid }: { readonly budgetBytes: number; readonly paid: number },
    limits: Omit<LabelLimits, 'workingBytes'>,
  ): Solution | undefined {
    const resident = this.#options.weights === 'resident' ? limits.weightsCap : 0;
    const fixed = fixedBytes(this.#graph, this.#options) + paid * sessionShare();
    // Predictions are rounded to bytes.
    const workingBytes = budgetBytes - resident - fixed + 1;
    return workingBytes <= 0 ? undefined : solveLabels(table, { ...limits, workingBytes });
  }

  #weightCaps(): readonly number[] {
    if (this.#options.weights === 'evictable') return [Number.POSITIVE_INFINITY];
    const { cuts } = this.#lean.shapes;
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

const UNTILED: PlanNotation = { modes: [WHOLE], cuts: [] };

/** Sums of the same numbers in another order. */
const ROUNDING = 1e-9;
