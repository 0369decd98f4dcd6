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
import { fixedBytes, sessionShare } from '../memory/predict.js';
import { WHOLE } from '../tile/mode.js';
import type { PlanNotation } from './notation.js';
import type { Plan } from './plan.js';
import { budgetedBytes, buildPlan } from './plan.js';
import type { Solution } from './plan-labels.js';
import { solveLabels } from './plan-labels.js';
import { ALTERNATIVES, LEAN_ALTERNATIVES, optionContext } from './range-option.js';
import { RangeTable } from './range-table.js';
import type { SearchOptions } from './strategy.js';

/** Most sessions that are assumed: each costs memory, and threads that have to be started. */
const SESSIONS = [1, 2, 3, 4, 6, 8, 12, 16];

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

/** How near the smallest budget is found. */
const NEAR_BYTES = 64 * 1024;

/** What is searched for: plans within a budget, faster than what is known. */
interface Wanted {
  readonly budgetBytes: number;
  readonly latencyMs?: number;
  /** The first plan found will do. */
  readonly anyLatency?: boolean;
}

interface Capped extends Wanted {
  readonly weightsCap: number;
}

/** Plus what is assumed of the sessions. */
interface Assumed extends Capped {
  /** Sessions that room is left for, and most of them if that counts. */
  readonly room: number;
  readonly sessions?: number;
}

/** Parts of the latency that don't count. */
const AS_FAST = 2e-9;

const WHOLE_PLAN: PlanNotation = { modes: [WHOLE], cuts: [] };

/** Searches one graph, at any number of budgets. */
export class OptimalSearch {
  readonly #graph: Graph;
  readonly #options: Omit<SearchOptions, 'budgetBytes'>;
  /** Ranges without and with tiles, which take long to plan. */
  readonly #lean: RangeTable;
  readonly #full: RangeTable;
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
    this.#full = new RangeTable(context, ALTERNATIVES);
    this.#caps = this.#weightCaps();
    this.#fixedBytes = fixedBytes(graph, options);
    this.#untiled = buildPlan(graph, WHOLE_PLAN, options);
    this.#leastMs = context.wholes.leastMs();
  }

  /** The fastest plan, and of those as fast the smallest; undefined if none fits, or none is faster than asked. */
  within(budgetBytes: number, fasterThanMs = Number.POSITIVE_INFINITY): Found | undefined {
    if (this.#leastMs >= fasterThanMs) return undefined;
    const untiledMs = this.#untiled.predicted.latencyMs;
    const isUntiledBest =
      untiledMs <= this.#leastMs * (1 + AS_FAST) && this.needOf(WHOLE_PLAN) <= budgetBytes;
    if (isUntiledBest && untiledMs < fasterThanMs) return { notation: WHOLE_PLAN, latencyMs: untiledMs };
    const latencyMs = fasterThanMs;
    const lean = this.#search(this.#lean, { budgetBytes, latencyMs });
    const isFast = lean !== undefined && lean.latencyMs <= TILES_FROM * this.#leastLatency();
    const table = isFast ? this.#lean : this.#full;
    const found = isFast ? lean : (this.#search(table, { budgetBytes, latencyMs, ...lean }) ?? lean);
    return found === undefined ? undefined : this.#shrink(table, found);
  }

  /** The plan of the least budget that can be met, tiles apart. */
  smallest(): PlanNotation {
    let least: PlanNotation = WHOLE_PLAN;
    let [tooSmall, enough] = [0, this.needOf(least)];
    while (enough - tooSmall > NEAR_BYTES) {
      const middle = (tooSmall + enough) / 2;
      const found = this.#search(this.#lean, { budgetBytes: middle, anyLatency: true });
      if (found === undefined) tooSmall = middle;
      else {
        least = found.notation;
        enough = Math.min(middle, this.needOf(least));
      }
    }
    return this.#search(this.#lean, { budgetBytes: enough })?.notation ?? least;
  }

  /** Bytes of a plan that the budget bounds. */
  needOf(notation: PlanNotation): number {
    return budgetedBytes(buildPlan(this.#graph, notation, this.#options).predicted, this.#options.weights);
  }

  /** Least latency of any plan: one session computes nothing twice and copies the least. */
  #leastLatency(): number {
    const [whole] = this.#lean.movesFrom(0).filter(({ end }) => end === this.#lean.cuts.length - 1);
    return whole?.latencyMs ?? 0;
  }

  /** Smaller plans that are as fast, as long as there are any. */
  #shrink(table: RangeTable, found: Found): Found {
    const latencyMs = found.latencyMs * (1 + AS_FAST);
    let least = found;
    let need = this.needOf(found.notation);
    for (;;) {
      // A byte for rounding, which the search allows for.
      const smaller = this.#search(table, { budgetBytes: need - 2, latencyMs });
      if (smaller === undefined) return least;
      least = smaller;
      need = Math.min(need - 2, this.needOf(smaller.notation));
    }
  }

  #search(table: RangeTable, wanted: Wanted): Found | undefined {
    let found: Found | undefined;
    for (const weightsCap of this.#caps) {
      found = this.#searchSessions(table, { ...wanted, ...found, weightsCap }) ?? found;
      if (found !== undefined && wanted.anyLatency === true) break;
    }
    return found;
  }

  /**
   * With more sessions there is less room. So first those are found that leave enough room for themselves; then
   * fewer sessions are tried with more room.
   */
  #searchSessions(table: RangeTable, wanted: Capped): Found | undefined {
    const [first, enough] = this.#leaveRoom(table, wanted);
    let found = first;
    for (const sessions of SESSIONS.filter((count) => count < enough)) {
      if (found !== undefined && wanted.anyLatency === true) break;
      const bound = this.#solve(table, { ...wanted, ...found, room: sessions });
      if (bound === undefined) break;
      const fits = bound.sessions <= sessions;
      found = (fits ? bound : this.#solve(table, { ...wanted, ...found, room: sessions, sessions })) ?? found;
      if (fits) break;
    }
    return found;
  }

  /** A plan that leaves room for its own sessions, if it is found so, and the sessions that were reached. */
  #leaveRoom(table: RangeTable, wanted: Capped): readonly [Found | undefined, number] {
    let room = 1;
    for (;;) {
      const solution = this.#solve(table, { ...wanted, room });
      if (solution === undefined || solution.sessions <= room) return [solution, room];
      room = solution.sessions;
    }
  }

  #solve(
    table: RangeTable,
    { budgetBytes, latencyMs = Number.POSITIVE_INFINITY, anyLatency = false, ...limits }: Assumed,
  ): Solution | undefined {
    const resident = this.#options.weights === 'resident' ? limits.weightsCap : 0;
    // Predictions are rounded to bytes.
    const workingBytes = budgetBytes - resident - this.#fixedBytes - limits.room * sessionShare() + 1;
    if (!(workingBytes > 0)) return undefined;
    return solveLabels(table, { ...limits, latencyMs, anyLatency, workingBytes });
  }

  #weightCaps(): readonly number[] {
    if (this.#options.weights === 'evictable') return [Number.POSITIVE_INFINITY];
    const { cuts } = this.#lean;
    const last = cuts.length - 1;
    const all = this.#lean.weightsOf(0, last);
    const least = Math.max(...cuts.slice(1).map((_, at) => this.#lean.weightsOf(at, at + 1)));
    const caps = Array.from(
      { length: WEIGHT_CAPS },
      (_, at) => least + ((all - least) * at) / (WEIGHT_CAPS - 1),
    );
    return [...new Set(caps)];
  }
}
