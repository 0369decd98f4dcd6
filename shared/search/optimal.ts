/**
 * The plan with the least predicted latency within a budget, over the cuts between layers (search-cuts.ts) and all
 * alternatives of each segment (range-option.ts), linked streams included; the smallest of those as fast.
 *
 * 1. Where the untiled run fits it is the fastest: nothing is computed or copied twice.
 * 2. List the options of every range between two cuts; drop those that another one beats in everything.
 * 3. Peak = the largest segment's working memory + the largest segment's weights, and each session takes its
 *    share. So assume how large weights may be and how many sessions there are; then a segment fits or it
 *    doesn't, whatever the others are.
 * 4. Bound from below what each assumption can give; then dynamic programming over the cuts (plan-labels.ts), for
 *    plans close to the best bound first.
 * 5. Ask again for a smaller plan that is as fast, until there is none.
 *
 * Not exact: a plan is looked for only if it is faster than a known one by WORTH; labels within links that are close
 * count as equal (plan-labels.ts); step sizes, grids and lengths are limited (range-option.ts), cuts in large graphs
 * too; tiles are looked at only where streams cost TILES_FROM; weights are assumed at WEIGHT_CAPS sizes and sessions
 * at SESSIONS numbers; rows between links are counted as if both ends were at their worst. A plan that is found does
 * fit. The smallest plan is found to NEAR_BYTES over a quarter of the sizes of weights, tiles apart.
 */

import type { Graph } from '../graph/index.js';
import { memoByGraph } from '../graph/index.js';
import { BUILT_IN_PROFILE, costsFor, fixedBytes, sessionShare } from '../predict/index.js';
import { WHOLE } from '../tile/index.js';
import type { PlanNotation } from './notation.js';
import type { Plan } from './plan.js';
import { budgetedBytes, buildPlan } from './plan.js';
import type { Bounds, Cost, Solution } from './plan-labels.js';
import { boundCosts, LARGE_GRAPH, solveLabels } from './plan-labels.js';
import { LEAN_ALTERNATIVES, optionContext, SHORT_ALTERNATIVES } from './range-option.js';
import { RangeTable } from './range-table.js';
import type { SearchOptions } from './strategy.js';
import { leastMs } from './whole-ranges.js';

/** Most sessions that are assumed: each costs memory, and threads that have to be started. */
const SESSIONS = { small: [1, 2, 3, 4, 6, 8, 12, 16], large: [2, 4, 8] } as const;

/** Tiles compute their halos again: they are looked at where streams take this much longer than the untiled run. */
const TILES_FROM = 1.25;

/** Sizes of the largest segment's weights that are tried. */
const WEIGHT_CAPS = { small: 32, large: 8 } as const;

export interface Found {
  readonly notation: PlanNotation;
  readonly latencyMs: number;
}

/** The plan for the budget; behind it, for whoever can't have that, the smallest one. */
export function* optimalCandidates(graph: Graph, options: SearchOptions): Generator<PlanNotation> {
  const { fasterThanMs = Number.POSITIVE_INFINITY, profile = BUILT_IN_PROFILE } = options;
  if (leastMs(graph, costsFor(profile, options)) >= fasterThanMs) return;
  const search = searchOf(graph, options);
  const found = search.within(options.budgetBytes, options.fasterThanMs);
  if (found !== undefined) yield found.notation;
  if (options.fasterThanMs === undefined) yield search.smallest();
}

/** Options of ranges don't depend on the budget: a service that plans anew finds them worked out. */
export function searchOf(graph: Graph, options: Omit<SearchOptions, 'budgetBytes'>): OptimalSearch {
  const { threads, level, malloc, weights, profile, copiesWeights } = options;
  const known = searches(graph);
  const key = [threads, level, malloc, weights, profile?.source, copiesWeights].join();
  const search = known.get(key) ?? new OptimalSearch(graph, options);
  known.set(key, search);
  return search;
}

const searches = memoByGraph(() => new Map<string, OptimalSearch>());

/** How near the smallest budget is found. */
const NEAR_BYTES = 64 * 1024;

/** What is searched for: plans within a budget that cost less than what is known. */
interface Wanted {
  readonly budgetBytes: number;
  readonly cost: Cost;
  readonly most: number;
}

interface Capped extends Wanted {
  readonly weightsCap: number;
  /** By sessions that room is left for. */
  readonly bounds: Map<number, Bounds>;
}

/** Plus what is assumed of the sessions. */
interface Assumed extends Capped {
  /** Sessions that room is left for, and most of them if that counts. */
  readonly room: number;
  readonly sessions?: number;
}

/** Parts of the latency that don't count. */
const AS_FAST = 2e-9;

/** Parts by which a plan must be faster than one that is known for the search to go on: the predictor knows less. */
const WORTH = 1e-3;

/**
 * The search hopes for a plan at most this many times as slow as the bound first: the less it hopes for, the less it
 * has to look at.
 */
const HOPES = {
  latency: [1.01, 1.05, 1.25, 2, Number.POSITIVE_INFINITY],
  sessions: [Number.POSITIVE_INFINITY],
} as const;

/** What is asked for when a plan is known. */
function better<W extends Wanted>(wanted: W, found: Solution | undefined): W {
  return found === undefined ? wanted : { ...wanted, most: found.cost * (1 - WORTH) };
}

export const WHOLE_PLAN: PlanNotation = { modes: [WHOLE], cuts: [] };

/** Searches one graph, at any number of budgets. */
export class OptimalSearch {
  readonly #graph: Graph;
  readonly #options: Omit<SearchOptions, 'budgetBytes'>;
  /** Ranges without and with tiles, which take long to plan. */
  readonly #lean: RangeTable;
  readonly #full: RangeTable;
  readonly #size: 'small' | 'large';
  readonly #caps: readonly number[];
  readonly #fixedBytes: number;
  readonly #untiled: Plan;
  /** What every plan takes at least: all kernels once, the input read, the outputs written, one run of a session. */
  readonly #leastMs: number;

  constructor(graph: Graph, options: Omit<SearchOptions, 'budgetBytes'>) {
    const cost = costsFor(options.profile ?? BUILT_IN_PROFILE, options);
    this.#graph = graph;
    this.#options = options;
    const context = optionContext(graph, options, cost);
    this.#lean = new RangeTable(context, LEAN_ALTERNATIVES);
    this.#full = new RangeTable(context, SHORT_ALTERNATIVES, this.#lean);
    this.#size = this.#lean.cuts.length < LARGE_GRAPH ? 'small' : 'large';
    this.#caps = this.#weightCaps();
    this.#fixedBytes = fixedBytes(graph, options);
    this.#untiled = buildPlan(graph, WHOLE_PLAN, options);
    this.#leastMs = leastMs(graph, cost);
  }

  /** The fastest plan, and of those as fast the smallest; undefined if none fits, or none is faster than asked. */
  within(budgetBytes: number, fasterThanMs?: number): Found | undefined {
    const most = fasterThanMs ?? Number.POSITIVE_INFINITY;
    const whole = { notation: WHOLE_PLAN, latencyMs: this.#untiled.predicted.latencyMs };
    const isBest = whole.latencyMs <= this.#leastMs * (1 + AS_FAST);
    if (isBest && this.needOf(WHOLE_PLAN) <= budgetBytes) return whole.latencyMs < most ? whole : undefined;
    const lean = this.#fastest(this.#lean, budgetBytes, most);
    const isFast = lean !== undefined && lean.latencyMs <= TILES_FROM * whole.latencyMs;
    // Whoever has other settings to try asks those before tiles; and retained memory is what tiles need most of.
    const isPassedOn = lean === undefined && fasterThanMs !== undefined;
    if (isPassedOn) return undefined;
    if (isFast || this.#options.malloc === 'retained') return lean && this.#shrink(this.#lean, lean);
    const found = this.#fastest(this.#full, budgetBytes, lean?.latencyMs ?? most) ?? lean;
    return found && this.#shrink(this.#full, found);
  }

  /** The plan of the least budget that can be met, tiles apart. */
  smallest(): PlanNotation {
    let least: PlanNotation = WHOLE_PLAN;
    let [tooSmall, enough] = [0, this.needOf(least)];
    while (enough - tooSmall > NEAR_BYTES) {
      const budgetBytes = (tooSmall + enough) / 2;
      const most = Number.POSITIVE_INFINITY;
      const found = this.#search(this.#lean, { budgetBytes, cost: 'sessions', most });
      if (found === undefined) tooSmall = budgetBytes;
      else {
        least = found.notation;
        enough = Math.min(budgetBytes, this.needOf(least));
      }
    }
    return this.#fastest(this.#lean, enough)?.notation ?? least;
  }

  #fastest(table: RangeTable, budgetBytes: number, most = Number.POSITIVE_INFINITY): Found | undefined {
    const found = this.#search(table, { budgetBytes, cost: 'latency', most });
    return found === undefined ? undefined : { notation: found.notation, latencyMs: found.cost };
  }

  /** Bytes of a plan that the budget bounds. */
  needOf(notation: PlanNotation): number {
    return budgetedBytes(buildPlan(this.#graph, notation, this.#options).predicted, this.#options.weights);
  }

  /** Smaller plans that are as fast, as long as there are any. */
  #shrink(table: RangeTable, found: Found): Found {
    const most = found.latencyMs * (1 + AS_FAST);
    let least = found;
    let need = this.needOf(found.notation);
    for (;;) {
      // A byte for rounding, which the search allows for.
      const smaller = this.#fastest(table, need - 2, most);
      if (smaller === undefined) return least;
      least = smaller;
      need = Math.min(need - 2, this.needOf(smaller.notation));
    }
  }

  #search(table: RangeTable, wanted: Wanted): Solution | undefined {
    // What fits at all is asked often: every fourth size will do.
    const caps = wanted.cost === 'latency' ? this.#caps : this.#caps.filter((_, at) => at % 4 === 0);
    const capped = caps
      .map((weightsCap) => ({ ...wanted, weightsCap, bounds: new Map<number, Bounds>() }))
      .map((one) => ({
        ...one,
        bound: this.#bounds(table, { ...one, room: 1 })?.closed[0] ?? Number.POSITIVE_INFINITY,
      }))
      .sort((a, b) => a.bound - b.bound);
    const [{ bound: least } = { bound: Number.POSITIVE_INFINITY }] = capped;
    if (!(least < wanted.most)) return undefined;
    for (const hope of HOPES[wanted.cost]) {
      const most = Math.min(wanted.most, least * hope);
      let found: Solution | undefined;
      for (const one of capped) {
        found = this.#searchSessions(table, better({ ...one, most }, found)) ?? found;
        // Whatever fits will do.
        if (found !== undefined && wanted.cost === 'sessions') return found;
      }
      if (found !== undefined || most === wanted.most) return found;
    }
    return undefined;
  }

  /**
   * With more sessions there is less room. So first those are found that leave enough room for themselves; then
   * fewer sessions are tried with more room.
   */
  #searchSessions(table: RangeTable, wanted: Capped & { readonly bound: number }): Solution | undefined {
    if (!(wanted.bound < wanted.most)) return undefined;
    const [first, enough] = this.#leaveRoom(table, wanted);
    // With more room, plans of the fewest sessions have no more of them.
    if (wanted.cost === 'sessions') return first;
    let found = first;
    for (const sessions of SESSIONS[this.#size].filter((count) => count < enough)) {
      const bound = this.#solve(table, { ...better(wanted, found), room: sessions });
      if (bound === undefined) break;
      const fits = bound.sessions <= sessions;
      found =
        (fits ? bound : this.#solve(table, { ...better(wanted, found), room: sessions, sessions })) ?? found;
      if (fits) break;
    }
    return found;
  }

  /** A plan that leaves room for its own sessions, if it is found so, and the sessions that were reached. */
  #leaveRoom(table: RangeTable, wanted: Capped): readonly [Solution | undefined, number] {
    let room = 1;
    for (;;) {
      const solution = this.#solve(table, { ...wanted, room });
      if (solution === undefined || solution.sessions <= room) return [solution, room];
      room = solution.sessions;
    }
  }

  #solve(table: RangeTable, assumed: Assumed): Solution | undefined {
    const bounds = this.#bounds(table, assumed);
    const limits = { ...assumed, workingBytes: this.#workingBytes(assumed) };
    return bounds === undefined ? undefined : solveLabels(table, limits, bounds);
  }

  /** Undefined if nothing fits. */
  #bounds(table: RangeTable, assumed: Assumed): Bounds | undefined {
    const workingBytes = this.#workingBytes(assumed);
    if (!(workingBytes > 0)) return undefined;
    const bounds = assumed.bounds.get(assumed.room) ?? boundCosts(table, { ...assumed, workingBytes });
    assumed.bounds.set(assumed.room, bounds);
    return bounds;
  }

  #workingBytes({ budgetBytes, weightsCap, room }: Assumed): number {
    const resident = this.#options.weights === 'resident' ? weightsCap : 0;
    // Predictions are rounded to bytes.
    return budgetBytes - resident - this.#fixedBytes - room * sessionShare() + 1;
  }

  /** Sizes of ranges' weights, as evenly spread as there are any, from the largest layer's to all. */
  #weightCaps(): readonly number[] {
    if (this.#options.weights === 'evictable') return [Number.POSITIVE_INFINITY];
    const last = this.#lean.cuts.length - 1;
    const sizes: number[] = [];
    for (let at = 0; at < last; at += 1) {
      for (let end = at + 1; end <= last; end += 1) sizes.push(this.#lean.weightsOf(at, end));
    }
    sizes.sort((a, b) => a - b);
    const all = this.#lean.weightsOf(0, last);
    const least = Math.max(...this.#lean.cuts.slice(1).map((_, at) => this.#lean.weightsOf(at, at + 1)));
    const count = WEIGHT_CAPS[this.#size];
    const marks = Array.from({ length: count }, (_, at) => least + ((all - least) * at) / (count - 1));
    return [...new Set(marks.map((mark) => sizes.findLast((size) => size <= mark) ?? mark))];
  }
}
