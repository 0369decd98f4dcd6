/** The dynamic programming of `optimal.ts`: labels at each cut, and the plan that the best one at the end stands for. */
import type { Graph } from '../graph/graph.js';
import { tensorAt, tensorBytes } from '../graph/graph.js';
import type { PlanNotation } from './notation.js';
import type { RangeOption } from './range-option.js';
import { ringRows, rowBytes } from './range-option.js';
import type { RangeTable } from './range-table.js';

/**
 * Labels that are this close are taken for equal, which keeps their number small: in parts of the latency, and of the
 * limit of bytes. So the plan found is about that close to the best one.
 */
const TOLERANCE = { small: { latency: 2e-3, bytes: 1e-2 }, large: { latency: 1e-2, bytes: 5e-2 } } as const;

/** Cuts from which on a graph is large. */
const LARGE_GRAPH = 48;

/** What is assumed of the whole plan. */
export interface LabelLimits {
  /** Of one segment, without sessions and weights. */
  readonly workingBytes: number;
  /** Of one segment's weights. */
  readonly weightsCap: number;
  /** Most sessions; where there is no limit, labels needn't be told apart by their sessions. */
  readonly sessions: number;
  /** Only plans that are faster are of interest. */
  readonly latencyMs: number;
  /** Whether streams may feed streams. */
  readonly links: boolean;
}

export interface Solution {
  readonly notation: PlanNotation;
  readonly latencyMs: number;
  readonly sessions: number;
}

interface Label {
  readonly latencyMs: number;
  readonly sessions: number;
  /** Bytes that stand, and the largest step, of the links so far; none where the label is closed. */
  readonly heldBytes: number;
  readonly stepBytes: number;
  /** Of the rows that the last link gives in its largest step. */
  readonly givenBytes: number;
  /** First cut of the links. */
  readonly start: number;
  readonly option: RangeOption | undefined;
  readonly linked: boolean;
  readonly before: Label | undefined;
}

const START: Label = {
  latencyMs: 0,
  sessions: 0,
  heldBytes: 0,
  stepBytes: 0,
  givenBytes: 0,
  start: 0,
  option: undefined,
  linked: false,
  before: undefined,
};

/** @returns undefined if no plan keeps the limits. */
export function solveLabels(table: RangeTable, limits: LabelLimits): Solution | undefined {
  const last = table.shapes.cuts.length - 1;
  const solver = new Solver(table, limits);
  for (let at = 0; at < last; at += 1) solver.extend(at);
  const best = solver.best(last);
  return best === undefined
    ? undefined
    : {
        notation: notationOf(table.shapes.graph, best),
        latencyMs: best.latencyMs,
        sessions: best.sessions,
      };
}

class Solver {
  readonly #table: RangeTable;
  readonly #limits: LabelLimits;
  readonly #tolerance: { readonly latency: number; readonly bytes: number };
  readonly #closed: Label[][];
  readonly #open: Label[][];

  constructor(table: RangeTable, limits: LabelLimits) {
    this.#table = table;
    this.#limits = limits;
    this.#tolerance = table.shapes.cuts.length < LARGE_GRAPH ? TOLERANCE.small : TOLERANCE.large;
    this.#closed = table.shapes.cuts.map((_, at) => (at === 0 ? [START] : []));
    this.#open = table.shapes.cuts.map(() => []);
  }

  best(at: number): Label | undefined {
    return (this.#closed[at] ?? []).reduce<Label | undefined>(
      (best, label) => (best === undefined || label.latencyMs < best.latencyMs ? label : best),
      undefined,
    );
  }

  /** All segments and links that begin at a cut. */
  extend(at: number): void {
    const closed = this.#closed[at] ?? [];
    const open = this.#open[at] ?? [];
    if (closed.length + open.length === 0) return;
    const baseBytes = this.#table.shapes.baseBytes(at);
    for (let end = at + 1; end < this.#table.shapes.cuts.length; end += 1) {
      for (const option of this.#table.optionsOf(at, end)) {
        for (const label of closed) this.#begin(label, { option, at, end, baseBytes });
        if (option.flow !== undefined) for (const label of open) this.#link(label, { option, at, end });
      }
    }
  }

  #begin(before: Label, { option, at, end, baseBytes }: Begin): void {
    if (!this.#isWorth(before.latencyMs + option.latencyMs, end)) return;
    this.#add(end, {
      latencyMs: before.latencyMs + option.latencyMs,
      sessions: before.sessions + 1,
      heldBytes: baseBytes + option.heldBytes,
      stepBytes: option.stepBytes,
      givenBytes: option.givenBytes,
      start: at,
      option,
      linked: false,
      before,
    });
  }

  #link(before: Label, { option, at, end }: Omit<Begin, 'baseBytes'>): void {
    if (!this.#isWorth(before.latencyMs + option.latencyMs, end)) return;
    if (before.heldBytes + option.heldBytes + option.stepBytes > this.#limits.workingBytes) return;
    const between = this.#betweenBytes(before, { option, at, end });
    this.#add(end, {
      latencyMs: before.latencyMs + option.latencyMs,
      sessions: before.sessions + 1,
      heldBytes: before.heldBytes + between + option.heldBytes,
      stepBytes: Math.max(before.stepBytes, option.stepBytes),
      givenBytes: option.givenBytes,
      start: before.start,
      option,
      linked: true,
      before,
    });
  }

  /** Rows between the last link and this one; a tensor that others read as well is counted as a full map. */
  #betweenBytes(before: Label, { option, at, end }: Omit<Begin, 'baseBytes'>): number {
    const { graph } = this.#table.shapes;
    let bytes = 0;
    // What outlives the segment is counted when it closes.
    for (const tensor of this.#table.shapes.passedOn(before.start, at, end)) {
      const [gives, takes] = [before.option?.flow?.gives.get(tensor), option.flow?.takes.get(tensor)];
      const isRing = gives !== undefined && takes !== undefined;
      bytes += isRing
        ? ringRows(graph, tensor, { gives, takes }) * rowBytes(graph, tensor)
        : tensorBytes(tensorAt(graph, tensor));
    }
    return bytes;
  }

  /** What a label gives counts by the ring that it will need. */
  readonly #isOpenBeaten: IsBeaten = (label, by) => {
    const slack = this.#limits.workingBytes * this.#tolerance.bytes;
    return (
      by.latencyMs <= label.latencyMs * (1 + this.#tolerance.latency) &&
      (by.sessions <= label.sessions || this.#limits.sessions === Number.POSITIVE_INFINITY) &&
      by.heldBytes + by.givenBytes <= label.heldBytes + label.givenBytes + slack &&
      by.stepBytes <= label.stepBytes + slack &&
      by.start <= label.start
    );
  };

  /** Whether a plan that is this far at a cut can be among the fastest still. */
  #isWorth(latencyMs: number, end: number): boolean {
    const least = latencyMs + this.#table.leastLatency(end);
    return least < this.#limits.latencyMs * (1 - this.#tolerance.latency);
  }

  /** As the end of a segment, if it fits so, and as one that goes on. */
  #add(end: number, label: Label): void {
    const { workingBytes, weightsCap, sessions } = this.#limits;
    if (label.sessions > sessions) return;
    const need = label.heldBytes + label.stepBytes;
    if (need > workingBytes || this.#table.shapes.weightsOf(label.start, end) > weightsCap) return;
    const left = label.option?.parted === true ? this.#table.shapes.leftBytes(label.start, end) : 0;
    if (need + left <= workingBytes) insert(this.#closed[end] ?? [], label, isClosedBeaten);
    if (this.#limits.links && label.option?.flow !== undefined && end < this.#table.shapes.cuts.length - 1) {
      insert(this.#open[end] ?? [], label, this.#isOpenBeaten);
    }
  }
}

interface Begin {
  readonly option: RangeOption;
  readonly at: number;
  readonly end: number;
  readonly baseBytes: number;
}

type IsBeaten = (label: Label, by: Label) => boolean;

function isClosedBeaten(label: Label, by: Label): boolean {
  return by.latencyMs <= label.latencyMs && by.sessions <= label.sessions;
}

/** Keeps the labels that no other one beats. */
function insert(labels: Label[], label: Label, isBeaten: IsBeaten): void {
  for (const other of labels) if (isBeaten(label, other)) return;
  let kept = 0;
  for (const other of labels) {
    if (isBeaten(other, label)) continue;
    labels[kept] = other;
    kept += 1;
  }
  labels.length = kept;
  labels.push(label);
}

function notationOf(graph: Graph, end: Label): PlanNotation {
  const path: Label[] = [];
  for (let label: Label | undefined = end; label?.option !== undefined; label = label.before)
    path.unshift(label);
  const layerOf = ({ option }: Label) => graph.nodes[option?.from ?? 0]?.layer ?? 0;
  const links = path.filter(({ linked }) => linked).map(layerOf);
  return {
    modes: path.flatMap(({ option }) => option?.mode ?? []),
    cuts: path.slice(1).map(layerOf),
    ...(links.length === 0 ? {} : { links }),
  };
}
