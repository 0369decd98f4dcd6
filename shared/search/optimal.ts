/**
 * This file searches the plan with the least predicted latency within a budget, and the smallest of those as fast. It
 * looks at the cuts between layers (search-cuts.ts), and at all options of each segment (range-option.ts).
 *
 * 1. Take the untiled run if it fits. It is the fastest, since nothing is computed or copied twice.
 * 2. List the options of every range between two cuts. Drop those that another one beats in everything.
 * 3. Assume how large weights may be, and how many sessions there are. The peak is the largest segment's working
 *    memory plus the largest segment's weights, and each session takes its share. So with these assumptions a
 *    segment fits or it doesn't, whatever the others are.
 * 4. Bound the latency under each assumption from below.
 * 5. Run dynamic programming over the cuts (plan-labels.ts), for plans close to the best bound first.
 * 6. Ask again for a smaller plan that is as fast, until there is none.
 *
 * A plan that is found does fit. Not guaranteed: that it is the best one, or that a plan is found if one fits.
 *
 * - A plan is searched only if it is faster than a known one by WORTH.
 * - Labels within links that are close count as equal, and rows between links are counted at their worst
 *   (plan-labels.ts).
 * - Step sizes, grids, lengths of ranges and cuts are limited (range-option.ts, search-cuts.ts).
 * - Tiles are tried only where streams cost TILES_FROM.
 * - Weights are assumed at WEIGHT_CAPS sizes, and sessions at SESSIONS numbers.
 * - The smallest plan is found to NEAR_BYTES, over a quarter of the sizes of weights, and without tiles.
 */

import type { Graph } from '../graph/index.js';
import { memoByGraph } from '../graph/index.js';
import { BUILT_IN_PROFILE, costsFor, fixedBytes, sessionShare } from '../predict/index.js';
import { WHOLE } from '../tile/index.js';
import type { PlanNotation } from './notation.js';
import type { Plan } from './plan.js';
import { budgetedBytes, buildPlan } from './plan.js';
import type { Bounds, Cost, Solution } from './plan-labels.js';
import { boundCosts, MANY_CUTS, solveLabels } from './plan-labels.js';
import { LEAN_ALTERNATIVES, optionContext, SHORT_ALTERNATIVES } from './range-option.js';
import { RangeTable } from './range-table.js';
import type { SearchOptions } from './strategy.js';
import { leastMs } from './whole-ranges.js';

/** Numbers of sessions that are assumed. More would cost memory, and the start of threads. Chosen, not measured. */
const SESSIONS = { small: [1, 2, 3, 4, 6, 8, 12, 16], large: [2, 4, 8] } as const;

/**
 * Factor by which streams must be slower than the untiled run for tiles to be tried, since tiles compute their halos
 * again. At 1.5 four plans would be 7 to 11 % slower, and no search would take over a second. The measurement is in
 * docs/benchmarks.md, "The search".
 */
const TILES_FROM = 1.25;

/** Number of sizes that are tried for the largest segment's weights. Chosen, not measured. */
const WEIGHT_CAPS = { small: 32, large: 8 } as const;

/** A plan that was found. */
interface Found {
  readonly notation: PlanNotation;
  readonly latencyMs: number;
}

/** Gives the plan for the budget, and then the smallest plan, for the case that the first one isn't taken. */
export function* optimalCandidates(graph: Graph, options: SearchOptions): Generator<PlanNotation> {
  const { fasterThanMs = Number.POSITIVE_INFINITY, profile = BUILT_IN_PROFILE } = options;
  if (leastMs(graph, costsFor(profile, options)) >= fasterThanMs) return;
  const search = searchOf(graph, options);
  const found = search.within(options.budgetBytes, options.fasterThanMs);
  if (found !== undefined) yield found.notation;
  if (options.fasterThanMs === undefined) yield search.smallest();
}

/** Returns the search of a graph and its settings. It is kept, since options of ranges don't depend on the budget. */
export function searchOf(graph: Graph, options: Omit<SearchOptions, 'budgetBytes'>): OptimalSearch {
  const { threads, level, allocator, weights, profile, copiesWeights } = options;
  const known = searches(graph);
  const key = [threads, level, allocator, weights, profile?.source, copiesWeights].join();
  const search = known.get(key) ?? new OptimalSearch(graph, options);
  known.set(key, search);
  return search;
}

const searches = memoByGraph(() => new Map<string, OptimalSearch>());

/** Bytes to which the smallest budget is found. Chosen, not measured. */
const NEAR_BYTES = 64 * 1024;

/** The plans that are searched: those within a budget that cost less than a known one. */
interface Wanted {
  readonly budgetBytes: number;
  readonly cost: Cost;
  /** Cost that a plan must stay below. */
  readonly most: number;
}

/** The plans that are searched under an assumption of weights. */
interface Capped extends Wanted {
  /** Most bytes of one segment's weights. */
  readonly weightsCap: number;
  /** Bounds by the number of sessions that room is left for. */
  readonly bounds: Map<number, Bounds>;
}

/** The plans that are searched under assumptions of weights and sessions. */
interface Assumed extends Capped {
  /** Number of sessions that room is left for. */
  readonly room: number;
  /** Most sessions. They don't count if it is absent. */
  readonly sessions?: number;
}

/** Relative latency difference that is treated as zero, since sums are rounded. */
const AS_FAST = 2e-9;

/**
 * Part by which a plan must be faster than a known one for the search to go on. The predictor can't tell less apart.
 * Chosen, not measured.
 */
const WORTH = 1e-3;

/**
 * Factors over the bound within which the search looks for a plan, one after the other. The nearer to the bound, the
 * fewer labels it has to look at. Chosen, not measured.
 */
const HOPES = {
  latency: [1.01, 1.05, 1.25, 2, Number.POSITIVE_INFINITY],
  sessions: [Number.POSITIVE_INFINITY],
} as const;

/** Asks for plans that are faster than a known one. */
function better<W extends Wanted>(wanted: W, found: Solution | undefined): W {
  return found === undefined ? wanted : { ...wanted, most: found.cost * (1 - WORTH) };
}

/** The plan of the untiled run. */
export const WHOLE_PLAN: PlanNotation = { modes: [WHOLE], cuts: [] };

/** Searches one graph, at any number of budgets. */
class OptimalSearch {
  readonly #graph: Graph;
  readonly #options: Omit<SearchOptions, 'budgetBytes'>;
  /** Moves without tiles, which take long to plan. */
  readonly #lean: RangeTable;
  /** Moves with tiles. */
  readonly #full: RangeTable;
  readonly #size: 'small' | 'large';
  /** Sizes that are assumed for the largest segment's weights. */
  readonly #caps: readonly number[];
  readonly #fixedBytes: number;
  readonly #untiled: Plan;
  /** Milliseconds that every plan takes at least (whole-ranges.ts). */
  readonly #leastMs: number;

  constructor(graph: Graph, options: Omit<SearchOptions, 'budgetBytes'>) {
    const cost = costsFor(options.profile ?? BUILT_IN_PROFILE, options);
    this.#graph = graph;
    this.#options = options;
    const context = optionContext(graph, options, cost);
    this.#lean = new RangeTable(context, LEAN_ALTERNATIVES);
    this.#full = new RangeTable(context, SHORT_ALTERNATIVES, this.#lean);
    this.#size = this.#lean.cuts.length < MANY_CUTS ? 'small' : 'large';
    this.#caps = this.#weightCaps();
    this.#fixedBytes = fixedBytes(graph, options);
    this.#untiled = buildPlan(graph, WHOLE_PLAN, options);
    this.#leastMs = leastMs(graph, cost);
  }

  /** Finds the smallest of the fastest plans. @returns undefined if none fits, or none is faster than asked. */
  within(budgetBytes: number, fasterThanMs?: number): Found | undefined {
    const most = fasterThanMs ?? Number.POSITIVE_INFINITY;
    const whole = { notation: WHOLE_PLAN, latencyMs: this.#untiled.predicted.latencyMs };
    const isBest = whole.latencyMs <= this.#leastMs * (1 + AS_FAST);
    if (isBest && this.needOf(WHOLE_PLAN) <= budgetBytes) return whole.latencyMs < most ? whole : undefined;
    const lean = this.#fastest(this.#lean, budgetBytes, most);
    const isFast = lean !== undefined && lean.latencyMs <= TILES_FROM * whole.latencyMs;
    // Tiles aren't tried if the caller has other settings left to try.
    const isPassedOn = lean === undefined && fasterThanMs !== undefined;
    if (isPassedOn) return undefined;
    if (isFast) return lean && this.#shrink(this.#lean, lean);
    const found = this.#fastest(this.#full, budgetBytes, lean?.latencyMs ?? most) ?? lean;
    return found && this.#shrink(this.#full, found);
  }

  /** Finds the plan of the least budget that can be met without tiles. */
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

  /** Returns the bytes of a plan that the budget bounds. */
  needOf(notation: PlanNotation): number {
    return budgetedBytes(buildPlan(this.#graph, notation, this.#options).predicted, this.#options.weights);
  }

  /** Looks for smaller plans that are as fast, as long as there are any. */
  #shrink(table: RangeTable, found: Found): Found {
    const most = found.latencyMs * (1 + AS_FAST);
    let least = found;
    let need = this.needOf(found.notation);
    for (;;) {
      // One of the two bytes is for rounding, which the search allows for.
      const smaller = this.#fastest(table, need - 2, most);
      if (smaller === undefined) return least;
      least = smaller;
      need = Math.min(need - 2, this.needOf(smaller.notation));
    }
  }

  #search(table: RangeTable, wanted: Wanted): Solution | undefined {
    // Whether anything fits is asked often, so every fourth size has to do.
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
        // Any plan that fits will do.
        if (found !== undefined && wanted.cost === 'sessions') return found;
      }
      if (found !== undefined || most === wanted.most) return found;
    }
    return undefined;
  }

  /**
   * Searches over numbers of sessions. With more sessions there is less room. So first plans are found that leave
   * enough room for their own sessions. Then fewer sessions are tried with more room.
   */
  #searchSessions(table: RangeTable, wanted: Capped & { readonly bound: number }): Solution | undefined {
    if (!(wanted.bound < wanted.most)) return undefined;
    const [first, enough] = this.#leaveRoom(table, wanted);
    // With more room, the plan of the fewest sessions has no more of them.
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

  /** Looks for a plan that leaves room for its own sessions. @returns it, if there is one, and the room at the end. */
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

  /** Returns the bounds under some assumptions. @returns undefined if there is no room at all. */
  #bounds(table: RangeTable, assumed: Assumed): Bounds | undefined {
    const workingBytes = this.#workingBytes(assumed);
    if (!(workingBytes > 0)) return undefined;
    const bounds = assumed.bounds.get(assumed.room) ?? boundCosts(table, { ...assumed, workingBytes });
    assumed.bounds.set(assumed.room, bounds);
    return bounds;
  }

  /** Returns the bytes that assumptions leave to one segment. */
  #workingBytes({ budgetBytes, weightsCap, room }: Assumed): number {
    const resident = this.#options.weights === 'resident' ? weightsCap : 0;
    // One byte is for rounding, since predictions are rounded to bytes.
    return budgetBytes - resident - this.#fixedBytes - room * sessionShare() + 1;
  }

  /** Picks sizes of ranges' weights, spread as evenly as possible from those of the largest layer to all weights. */
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
