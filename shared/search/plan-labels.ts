/**
 * The dynamic programming of `optimal.ts`: labels at each cut, and the plan that the best one at the end stands for.
 *
 * 1. Backwards: the least cost (latency) from each cut to the end, as if each segment and each link had all the memory to
 *    itself. Links add up what they hold, so this is a bound, not the answer.
 * 2. Forwards: labels that no other one beats, as far as the bound lets them hope to be faster than what is known.
 *
 * The rows between two links are counted as if both ends were at their worst. A label counts as beaten if it isn't
 * better by more than TOLERANCE in anything.
 */
import type { Graph } from '../graph/index.js';
import type { PlanNotation } from './notation.js';
import type { Move, RangeTable } from './range-table.js';

/** In parts of the latency, and of the limit of bytes, in which labels within linked streams count as equal. */
const TOLERANCE = { small: { latency: 5e-4, bytes: 2e-3 }, large: { latency: 5e-3, bytes: 2e-2 } } as const;

/** Cuts from which on a graph is large, and searched more coarsely. */
export const LARGE_GRAPH = 48;

/** What is assumed of the whole plan. */
export interface LabelLimits {
  /** Of one segment, without sessions and weights. */
  readonly workingBytes: number;
  /** Of one segment's weights. */
  readonly weightsCap: number;
  /** Most sessions; if absent they don't count. */
  readonly sessions?: number;
  readonly cost: Cost;
  /** Only plans that cost less are of interest. */
  readonly most: number;
}

/** What a plan should have the least of: milliseconds, or sessions where the question is what fits at all. */
export type Cost = 'latency' | 'sessions';

export interface Solution {
  readonly notation: PlanNotation;
  readonly cost: number;
  readonly sessions: number;
}

interface Label {
  readonly cost: number;
  readonly sessions: number;
  /** Bytes that stand, and the largest step, of the links so far. */
  readonly heldBytes: number;
  readonly stepBytes: number;
  /** Of the rows that the last link gives in its largest step. */
  readonly givenBytes: number;
  /** First cut of the links, and since then: weights, and maps that are needed further on. */
  readonly start: number;
  readonly weightsBytes: number;
  readonly leftBytes: number;
  readonly move: Move | undefined;
  readonly linked: boolean;
  readonly before: Label | undefined;
}

const START: Label = {
  cost: 0,
  sessions: 0,
  heldBytes: 0,
  stepBytes: 0,
  givenBytes: 0,
  start: 0,
  weightsBytes: 0,
  leftBytes: 0,
  move: undefined,
  linked: false,
  before: undefined,
};

/** @param bounds by `boundCosts`, for the same limits. @returns undefined if no plan keeps the limits. */
export function solveLabels(table: RangeTable, limits: LabelLimits, bounds: Bounds): Solution | undefined {
  if (!((bounds.closed[0] ?? 0) < limits.most)) return undefined;
  const last = table.cuts.length - 1;
  const solver = new Solver(table, limits, bounds);
  for (let at = 0; at < last; at += 1) solver.extend(at);
  const best = solver.best(last);
  if (best === undefined) return undefined;
  const { cost, sessions } = best;
  return { notation: notationOf(table.graph, best), cost, sessions };
}

function costOf({ latencyMs }: Move, cost: Cost): number {
  return cost === 'latency' ? latencyMs : 1;
}

/** Less than it costs to come to the end from each cut, where a full map is there, and within linked streams. */
export interface Bounds {
  readonly closed: Float64Array;
  readonly open: Float64Array;
  /** Bytes that links to come need at least, beside what those so far hold. */
  readonly linkBytes: Float64Array;
}

export function boundCosts(
  table: RangeTable,
  { workingBytes, weightsCap, cost }: Pick<LabelLimits, 'workingBytes' | 'weightsCap' | 'cost'>,
): Bounds {
  const last = table.cuts.length - 1;
  const closed = new Float64Array(last + 1).fill(Number.POSITIVE_INFINITY);
  const open = new Float64Array(last + 1).fill(Number.POSITIVE_INFINITY);
  const linkBytes = new Float64Array(last + 1).fill(Number.POSITIVE_INFINITY);
  closed[last] = 0;
  for (let at = last - 1; at >= 0; at -= 1) {
    const roomBytes = workingBytes - table.baseBytes(at);
    const { ends, latencyMs, heldBytes, needBytes, fullBytes, weightsBytes, links } = table.movesFrom(at);
    let leastClosed = Number.POSITIVE_INFINITY;
    let leastOpen = Number.POSITIVE_INFINITY;
    let leastBytes = Number.POSITIVE_INFINITY;
    for (let move = 0; move < ends.length; move += 1) {
      const need = needBytes[move] ?? 0;
      const full = fullBytes[move] ?? 0;
      if (need > workingBytes || (weightsBytes[move] ?? 0) > weightsCap) continue;
      const own = cost === 'latency' ? (latencyMs[move] ?? 0) : 1;
      const end = ends[move] ?? 0;
      const closes = own + (closed[end] ?? 0);
      const goesOn = links[move] === 1 ? own + (open[end] ?? 0) : Number.POSITIVE_INFINITY;
      if (links[move] === 1) {
        if (goesOn < leastOpen) leastOpen = goesOn;
        if (full <= workingBytes && closes < leastOpen) leastOpen = closes;
        const further = Math.max(need, (heldBytes[move] ?? 0) + (linkBytes[end] ?? 0));
        leastBytes = Math.min(leastBytes, full, further);
      }
      if (need <= roomBytes && goesOn < leastClosed) leastClosed = goesOn;
      if (full <= roomBytes && closes < leastClosed) leastClosed = closes;
    }
    closed[at] = leastClosed;
    open[at] = leastOpen;
    linkBytes[at] = leastBytes;
  }
  return { closed, open, linkBytes };
}

class Solver {
  readonly #table: RangeTable;
  readonly #limits: LabelLimits;
  readonly #bounds: Bounds;
  readonly #most: number;
  readonly #sessions: number;
  readonly #slackBytes: number;
  readonly #slackCost: number;
  readonly #slackWeights: number;
  readonly #closed: Label[][];
  readonly #open: Label[][];

  constructor(table: RangeTable, limits: LabelLimits, bounds: Bounds) {
    this.#table = table;
    this.#limits = limits;
    this.#bounds = bounds;
    this.#most = limits.most;
    this.#sessions = limits.sessions ?? Number.POSITIVE_INFINITY;
    const { latency, bytes } = table.cuts.length < LARGE_GRAPH ? TOLERANCE.small : TOLERANCE.large;
    this.#slackBytes = Number.isFinite(limits.workingBytes) ? limits.workingBytes * bytes : 0;
    this.#slackCost = 1 + latency;
    // Where all of them are allowed, they don't count.
    this.#slackWeights =
      limits.weightsCap >= table.weightsOf(0, table.cuts.length - 1)
        ? Number.POSITIVE_INFINITY
        : limits.weightsCap * bytes;
    this.#closed = table.cuts.map((_, at) => (at === 0 ? [START] : []));
    this.#open = table.cuts.map(() => []);
  }

  best(at: number): Label | undefined {
    return (this.#closed[at] ?? []).reduce<Label | undefined>(
      (best, label) => (best === undefined || label.cost < best.cost ? label : best),
      undefined,
    );
  }

  /** All segments and links that begin at a cut. */
  extend(at: number): void {
    const closed = this.#closed[at] ?? [];
    const open = this.#open[at] ?? [];
    if (closed.length + open.length === 0) return;
    const { workingBytes, weightsCap, cost } = this.#limits;
    const baseBytes = this.#table.baseBytes(at);
    const [leastClosed, leastOpen] = [leastCost(closed), leastCost(open)];
    const { list, ends, latencyMs, needBytes, weightsBytes, links } = this.#table.movesFrom(at);
    for (let place = 0; place < ends.length; place += 1) {
      const need = needBytes[place] ?? 0;
      if (need > workingBytes || (weightsBytes[place] ?? 0) > weightsCap) continue;
      const own = cost === 'latency' ? (latencyMs[place] ?? 0) : 1;
      const bound = own + this.#boundAt(ends[place] ?? 0, links[place] === 1);
      const move = list[place];
      if (move === undefined) continue;
      if (baseBytes + need <= workingBytes && leastClosed + bound < this.#most) {
        for (const label of closed) {
          const isHopeless = label.cost + bound >= this.#most;
          if (
            isHopeless ||
            (links[place] === 0 && this.#isClosedBeaten(move, label.cost + own, label.sessions + 1))
          )
            continue;
          this.#begin(label, { move, at, baseBytes });
        }
      }
      if (links[place] === 0 || !(leastOpen + bound < this.#most)) continue;
      for (const label of open) {
        if (label.cost + bound < this.#most && label.heldBytes + need <= workingBytes)
          this.#link(label, move);
      }
    }
  }

  /** Whether a segment that no link can follow ends where something as good does already. */
  #isClosedBeaten({ end }: Move, cost: number, sessions: number): boolean {
    const counts = this.#sessions < Number.POSITIVE_INFINITY;
    for (const label of this.#closed[end] ?? []) {
      if (label.cost <= cost && (!counts || label.sessions <= sessions)) return true;
    }
    return false;
  }

  #boundAt(end: number, links: boolean): number {
    const closed = this.#bounds.closed[end] ?? 0;
    return links ? Math.min(closed, this.#bounds.open[end] ?? 0) : closed;
  }

  #begin(
    before: Label,
    { move, at, baseBytes }: { readonly move: Move; readonly at: number; readonly baseBytes: number },
  ): void {
    this.#add({
      cost: before.cost + costOf(move, this.#limits.cost),
      sessions: before.sessions + 1,
      heldBytes: baseBytes + move.heldBytes,
      stepBytes: move.stepBytes,
      givenBytes: move.option.givenBytes,
      start: at,
      weightsBytes: move.weightsBytes,
      leftBytes: move.leftBytes,
      move,
      linked: false,
      before,
    });
  }

  #link(before: Label, move: Move): void {
    const heldBytes = before.heldBytes + this.#betweenBytes(before, move) + move.heldBytes;
    const stepBytes = Math.max(before.stepBytes, move.stepBytes);
    if (heldBytes + stepBytes > this.#limits.workingBytes) return;
    this.#add({
      cost: before.cost + costOf(move, this.#limits.cost),
      sessions: before.sessions + 1,
      heldBytes,
      stepBytes,
      givenBytes: move.option.givenBytes,
      start: before.start,
      weightsBytes: this.#table.weightsOf(before.start, move.end),
      leftBytes: this.#table.leftBytes(before.start, move.end),
      move,
      linked: true,
      before,
    });
  }

  /**
   * Rows between the links so far and this one. A tensor of an earlier link than the last counts as a full map; what
   * outlives the segment is counted when it closes.
   */
  #betweenBytes({ start, move: last }: Label, { feeds = [], end }: Move): number {
    const from = this.#table.cuts[start] ?? 0;
    const to = this.#table.cuts[end] ?? 0;
    let bytes = 0;
    for (const { tensor, takes, rows, rowBytes, maker, lastRead } of feeds) {
      if (maker < from || lastRead >= to) continue;
      const gives = last?.option.flow?.gives.get(tensor);
      bytes += rowBytes * (gives === undefined ? rows : Math.min(rows, gives + takes - 1));
    }
    return bytes;
  }

  /** As the end of a segment, if it fits so, and as one that goes on. */
  #add(label: Label): void {
    const { workingBytes, weightsCap } = this.#limits;
    const { move, cost } = label;
    if (move === undefined || label.sessions > this.#sessions) return;
    const { end } = move;
    const need = label.heldBytes + label.stepBytes;
    if (need > workingBytes || label.weightsBytes > weightsCap) return;
    if (need + label.leftBytes <= workingBytes && cost + (this.#bounds.closed[end] ?? 0) < this.#most) {
      this.#addClosed(this.#closed[end] ?? [], label);
    }
    const goesOn = label.heldBytes + (this.#bounds.linkBytes[end] ?? 0) <= workingBytes;
    if (move.feeds !== undefined && goesOn && cost + (this.#bounds.open[end] ?? 0) < this.#most) {
      this.#addOpen(this.#open[end] ?? [], label);
    }
  }

  #addClosed(labels: Label[], label: Label): void {
    const counts = this.#sessions < Number.POSITIVE_INFINITY;
    insert(labels, label, (by, one) => by.cost <= one.cost && (!counts || by.sessions <= one.sessions));
  }

  #addOpen(labels: Label[], label: Label): void {
    insert(labels, label, this.#isOpenBeaten);
  }

  /**
   * What a label gives counts by the ring that it will need; what it leaves will be counted when it closes.
   */
  readonly #isOpenBeaten: Beats = (by, label) => {
    const slack = this.#slackBytes;
    return (
      by.cost <= label.cost * this.#slackCost &&
      by.heldBytes <= label.heldBytes + slack &&
      by.stepBytes <= label.stepBytes + slack &&
      by.heldBytes + by.givenBytes <= label.heldBytes + label.givenBytes + slack &&
      by.leftBytes <= label.leftBytes &&
      by.weightsBytes <= label.weightsBytes + this.#slackWeights &&
      (this.#sessions === Number.POSITIVE_INFINITY || by.sessions <= label.sessions)
    );
  };
}

function leastCost(labels: readonly Label[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const { cost } of labels) least = Math.min(least, cost);
  return least;
}

type Beats = (by: Label, label: Label) => boolean;

/** Keeps the labels that no other one beats. */
function insert(labels: Label[], label: Label, beats: Beats): void {
  for (const other of labels) if (beats(other, label)) return;
  let kept = 0;
  for (const other of labels) {
    if (beats(label, other)) continue;
    labels[kept] = other;
    kept += 1;
  }
  labels.length = kept;
  labels.push(label);
}

function notationOf(graph: Graph, end: Label): PlanNotation {
  const path: Label[] = [];
  for (let label: Label | undefined = end; label?.move !== undefined; label = label.before)
    path.unshift(label);
  const layerOf = ({ move }: Label) => graph.nodes[move?.option.from ?? 0]?.layer ?? 0;
  const links = path.filter(({ linked }) => linked).map(layerOf);
  return {
    modes: path.flatMap(({ move }) => move?.option.mode ?? []),
    cuts: path.slice(1).map(layerOf),
    ...(links.length === 0 ? {} : { links }),
  };
}
