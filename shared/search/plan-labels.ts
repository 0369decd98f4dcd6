/**
 * This file is the dynamic programming of `optimal.ts`. It keeps labels at each cut. A label stands for a plan up to it.
 *
 * 1. Go backwards and find the least cost from each cut to the end. Each segment and each link counts as if it had all
 *    the memory to itself. Links add up the bytes that they hold, so this is a bound, not the answer.
 * 2. Go forwards and keep the labels that no other one beats, as far as the bound lets them be faster than a known plan.
 * 3. Return the plan of the best label at the last cut.
 *
 * Not guaranteed: the best plan. The rows between two links are counted as if both ends were at their worst. A label
 * counts as beaten if it isn't better by more than TOLERANCE in anything.
 *
 * Reads of arrays in the loops over moves are casts, since a check of each would be felt. All arrays of `Moves` are as
 * long as `ends`, and those of `Bounds` and labels have a place for each cut.
 */
import type { Graph } from '../graph/index.js';
import { elementAt } from '../graph/index.js';
import type { PlanNotation } from './notation.js';
import type { RangeOption } from './range-option.js';
import type { Move, RangeTable } from './range-table.js';

/**
 * Differences that count as zero between labels within linked streams. They are parts of the latency, and of the limit
 * of bytes. Chosen, not measured.
 */
const TOLERANCE = { small: { latency: 5e-4, bytes: 2e-3 }, large: { latency: 5e-3, bytes: 2e-2 } } as const;

/** Cuts from which on the search takes coarser tolerances, and fewer assumptions. Chosen, not measured. */
export const MANY_CUTS = 48;

/** The limits that a whole plan must keep. */
export interface LabelLimits {
  /** Most bytes of one segment, without sessions and weights. */
  readonly workingBytes: number;
  /** Most bytes of one segment's weights. */
  readonly weightsCap: number;
  /** Most sessions. They don't count if it is absent. */
  readonly sessions?: number;
  readonly cost: Cost;
  /** Cost that a plan must stay below. */
  readonly most: number;
}

/** The measure of a plan: its milliseconds, or its sessions where the question is whether any plan fits. */
export type Cost = 'latency' | 'sessions';

/** The best plan within some limits. */
export interface Solution {
  readonly notation: PlanNotation;
  readonly cost: number;
  readonly sessions: number;
}

/** A plan up to a cut. Its last segment is a move, or a chain of linked ones. */
interface Label {
  readonly cost: number;
  readonly sessions: number;
  /** Bytes that the links of the last segment hold. */
  readonly heldBytes: number;
  /** Bytes of the largest step of the last segment. */
  readonly stepBytes: number;
  /** Bytes of the rows that the last link gives in its largest step. */
  readonly givenBytes: number;
  /** Cut at which the last segment starts. */
  readonly start: number;
  /** Bytes of the weights of the last segment. */
  readonly weightsBytes: number;
  /** Bytes of the maps of the last segment that are needed further on. */
  readonly leftBytes: number;
  /** Last move. It is undefined at the start of the graph. */
  readonly move: Move | undefined;
  /** Whether the last move is linked to the one before it. */
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

/** Finds the best plan. @param bounds by `boundCosts`, for the same limits. @returns undefined if no plan keeps them. */
export function solveLabels(table: RangeTable, limits: LabelLimits, bounds: Bounds): Solution | undefined {
  if (!(elementAt(bounds.closed, 0) < limits.most)) return undefined;
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

/** Lower bounds on the way from each cut to the end. They are infinite where no move leads on. */
export interface Bounds {
  /** Cost if a full map exists at the cut. */
  readonly closed: Float64Array;
  /** Cost inside a chain of linked streams. */
  readonly open: Float64Array;
  /** Bytes that further links need in addition to those that the links so far hold. */
  readonly linkBytes: Float64Array;
}

/** Finds the bounds of all cuts, from the last to the first. */
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
      const need = needBytes[move] as number;
      const full = fullBytes[move] as number;
      if (need > workingBytes || (weightsBytes[move] as number) > weightsCap) continue;
      const own = cost === 'latency' ? (latencyMs[move] as number) : 1;
      const end = ends[move] as number;
      const closes = own + (closed[end] as number);
      const goesOn = links[move] === 1 ? own + (open[end] as number) : Number.POSITIVE_INFINITY;
      if (links[move] === 1) {
        if (goesOn < leastOpen) leastOpen = goesOn;
        if (full <= workingBytes && closes < leastOpen) leastOpen = closes;
        const further = Math.max(need, (heldBytes[move] as number) + (linkBytes[end] as number));
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

/** The labels of one search, and the limits they keep. */
class Solver {
  readonly #table: RangeTable;
  readonly #limits: LabelLimits;
  readonly #bounds: Bounds;
  readonly #most: number;
  /** Most sessions. It is infinite if they don't count. */
  readonly #sessions: number;
  readonly #slackBytes: number;
  /** Factor by which a cost may be greater and still count as equal. */
  readonly #slackCost: number;
  readonly #slackWeights: number;
  /** Labels by cut that leave full maps there. */
  readonly #closed: Label[][];
  /** Labels by cut at which the next link can join them. */
  readonly #open: Label[][];

  constructor(table: RangeTable, limits: LabelLimits, bounds: Bounds) {
    this.#table = table;
    this.#limits = limits;
    this.#bounds = bounds;
    this.#most = limits.most;
    this.#sessions = limits.sessions ?? Number.POSITIVE_INFINITY;
    const { latency, bytes } = table.cuts.length < MANY_CUTS ? TOLERANCE.small : TOLERANCE.large;
    this.#slackBytes = Number.isFinite(limits.workingBytes) ? limits.workingBytes * bytes : 0;
    this.#slackCost = 1 + latency;
    // Where the weights of the whole graph are allowed, weights don't count.
    this.#slackWeights =
      limits.weightsCap >= table.weightsOf(0, table.cuts.length - 1)
        ? Number.POSITIVE_INFINITY
        : limits.weightsCap * bytes;
    this.#closed = table.cuts.map((_, at) => (at === 0 ? [START] : []));
    this.#open = table.cuts.map(() => []);
  }

  /** Returns the label of least cost at a cut. */
  best(at: number): Label | undefined {
    return elementAt(this.#closed, at).reduce<Label | undefined>(
      (best, label) => (best === undefined || label.cost < best.cost ? label : best),
      undefined,
    );
  }

  /** Adds all segments and links that begin at a cut. */
  extend(at: number): void {
    const closed = elementAt(this.#closed, at);
    const open = elementAt(this.#open, at);
    if (closed.length + open.length === 0) return;
    const { workingBytes, weightsCap, cost } = this.#limits;
    const baseBytes = this.#table.baseBytes(at);
    const [leastClosed, leastOpen] = [leastCost(closed), leastCost(open)];
    const { list, ends, latencyMs, needBytes, weightsBytes, links } = this.#table.movesFrom(at);
    for (let place = 0; place < ends.length; place += 1) {
      const need = needBytes[place] as number;
      if (need > workingBytes || (weightsBytes[place] as number) > weightsCap) continue;
      const own = cost === 'latency' ? (latencyMs[place] as number) : 1;
      const bound = own + this.#boundAt(ends[place] as number, links[place] === 1);
      const move = list[place] as Move;
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

  /** Whether a segment that no link can follow ends at a cut with a label that is as good. */
  #isClosedBeaten({ end }: Move, cost: number, sessions: number): boolean {
    const counts = this.#sessions < Number.POSITIVE_INFINITY;
    for (const label of this.#closed[end] as Label[]) {
      if (label.cost <= cost && (!counts || label.sessions <= sessions)) return true;
    }
    return false;
  }

  #boundAt(end: number, links: boolean): number {
    const closed = this.#bounds.closed[end] as number;
    return links ? Math.min(closed, this.#bounds.open[end] as number) : closed;
  }

  /** Adds the label of a move that begins a segment. */
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

  /** Adds the label of a move that joins the last segment. */
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
   * Returns the bytes of the rows between the links so far and this one. A tensor of an earlier link than the last
   * counts as a full map. A tensor that outlives the segment is counted when the segment closes.
   */
  #betweenBytes({ start, move: last }: Label, { feeds = [], end }: Move): number {
    const from = this.#table.cuts[start] as number;
    const to = this.#table.cuts[end] as number;
    let bytes = 0;
    for (const { tensor, takes, rows, rowBytes, maker, lastRead } of feeds) {
      if (maker < from || lastRead >= to) continue;
      const gives = last?.option.flow?.gives.get(tensor);
      bytes += rowBytes * (gives === undefined ? rows : Math.min(rows, gives + takes - 1));
    }
    return bytes;
  }

  /** Adds a label to those that end a segment, if its full maps fit, and to those that a link may join. */
  #add(label: Label): void {
    const { workingBytes, weightsCap } = this.#limits;
    const { move, cost } = label;
    if (move === undefined || label.sessions > this.#sessions) return;
    const { end } = move;
    const need = label.heldBytes + label.stepBytes;
    if (need > workingBytes || label.weightsBytes > weightsCap) return;
    if (need + label.leftBytes <= workingBytes && cost + (this.#bounds.closed[end] as number) < this.#most) {
      this.#addClosed(this.#closed[end] as Label[], label);
    }
    const goesOn = label.heldBytes + (this.#bounds.linkBytes[end] as number) <= workingBytes;
    if (move.feeds !== undefined && goesOn && cost + (this.#bounds.open[end] as number) < this.#most) {
      this.#addOpen(this.#open[end] as Label[], label);
    }
  }

  #addClosed(labels: Label[], label: Label): void {
    const counts = this.#sessions < Number.POSITIVE_INFINITY;
    insert(labels, label, (by, one) => by.cost <= one.cost && (!counts || by.sessions <= one.sessions));
  }

  #addOpen(labels: Label[], label: Label): void {
    insert(labels, label, this.#isOpenBeaten);
  }

  /** Whether a label beats another at a cut that links may join. The rows that it gives will stand in the next ring. */
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

/** Adds a label unless another one beats it, and drops the labels that it beats. */
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

/** Returns the notation of the plan that a label stands for. */
function notationOf(graph: Graph, end: Label): PlanNotation {
  const path: { readonly option: RangeOption; readonly linked: boolean }[] = [];
  for (let label: Label | undefined = end; label?.move !== undefined; label = label.before)
    path.unshift({ option: label.move.option, linked: label.linked });
  const layerOf = ({ option }: { readonly option: RangeOption }) => elementAt(graph.nodes, option.from).layer;
  const links = path.filter(({ linked }) => linked).map(layerOf);
  return {
    modes: path.map(({ option }) => option.mode),
    cuts: path.slice(1).map(layerOf),
    ...(links.length === 0 ? {} : { links }),
  };
}
