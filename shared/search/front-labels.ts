/**
 * This file finds all trade-offs of memory and latency at once, as shortest paths over the cuts of a graph.
 *
 * 1. List the ways from each cut to later ones (ways.ts).
 * 2. Go backwards, and find the least peak and the least weights of any plan from each cut on.
 * 3. Go forwards with labels. A label is a plan up to a cut. It needs at least what step 2 says of the rest.
 * 4. At each cut the needs are parted into buckets of equal ratio. Each bucket keeps its fastest label, and the cut
 *    keeps its smallest label as well.
 * 5. The labels at the last cut are the front.
 *
 * Not guaranteed: the best front. A label is dropped for a faster one that needs a little more, cut after cut.
 */

import { elementAt } from '../graph/index.js';
import { bucketOf } from './chains.js';
import type { RangeTable } from './range-table.js';
import type { TradeOff } from './trade-off.js';
import { withoutBeaten } from './trade-off.js';
import type { Way } from './ways.js';
import { waysFrom } from './ways.js';
import type { Work } from './work.js';

/** A plan up to a cut. */
export interface Label extends TradeOff {
  readonly sessions: number;
  /** Bytes of its largest segment, without sessions and weights. */
  readonly peakBytes: number;
  /** Bytes of its largest segment's weights. */
  readonly weightsBytes: number;
  /** Least bytes of a whole plan that begins so. */
  readonly needBytes: number;
  /** Last segment. It is undefined at the start of the graph. */
  readonly way: Way | undefined;
  readonly before: Label | undefined;
}

/** What counts as the need of a plan. */
export interface NeedRule {
  /** Bytes of each session. */
  readonly sessionBytes: number;
  /** Whether weights count. */
  readonly countsWeights: boolean;
}

/** Finds plans from the smallest to the fastest. There may be none if the work is spent. */
export function frontLabels(table: RangeTable, rule: NeedRule, work: Work): readonly Label[] {
  const last = table.cuts.length - 1;
  const ways = table.cuts.map((_, at) => {
    work.begin('ways', (at + 1) / (last + 1));
    return at === last ? [] : waysFrom(table, at, work);
  });
  const labels = new Labels(ways, { ...rule, ratio: table.knobs.labelRatio });
  for (let at = 0; at < last; at += 1) {
    work.begin('labels', (at + 1) / last);
    labels.extend(at, work);
  }
  return labels.frontAt(last);
}

/** The labels of all cuts. */
class Labels {
  readonly #ways: readonly (readonly Way[])[];
  readonly #rule: NeedRule & { readonly ratio: number };
  /** Least peak of any plan from each cut on. */
  readonly #peakBytes: Float64Array;
  /** Least weights of any plan from each cut on. */
  readonly #weightsBytes: Float64Array;
  /** Fastest labels by cut and bucket. */
  readonly #buckets: readonly Map<number, Label>[];
  /** Label of least need by cut. */
  readonly #smallest: (Label | undefined)[];

  constructor(ways: readonly (readonly Way[])[], rule: NeedRule & { readonly ratio: number }) {
    this.#ways = ways;
    this.#rule = rule;
    this.#peakBytes = boundAll(ways, ({ needBytes }) => needBytes);
    this.#weightsBytes = boundAll(ways, ({ weightsBytes }) => weightsBytes);
    this.#buckets = ways.map(() => new Map());
    const start = { latencyMs: 0, sessions: 0, peakBytes: 0, weightsBytes: 0, needBytes: 0 };
    this.#smallest = [{ ...start, way: undefined, before: undefined }];
  }

  /** Extends the labels of a cut by all ways from it. */
  extend(at: number, work: Work): void {
    const front = this.frontAt(at);
    for (const way of elementAt(this.#ways, at)) {
      if (!work.spend(front.length)) return;
      for (const label of front) this.#put(way.end, this.#extended(label, way));
    }
  }

  /** Returns the labels of a cut of which none is both larger and slower than another, the smallest first. */
  frontAt(at: number): readonly Label[] {
    const smallest = this.#smallest[at];
    const fastest = elementAt(this.#buckets, at).values();
    return smallest === undefined ? [] : withoutBeaten([smallest, ...fastest]);
  }

  #extended(before: Label, way: Way): Label {
    const { sessionBytes, countsWeights } = this.#rule;
    const peakBytes = Math.max(before.peakBytes, way.needBytes);
    const weightsBytes = Math.max(before.weightsBytes, way.weightsBytes);
    const sessions = before.sessions + way.options.length;
    const leastWeights = Math.max(weightsBytes, elementAt(this.#weightsBytes, way.end));
    return {
      latencyMs: before.latencyMs + way.latencyMs,
      sessions,
      peakBytes,
      weightsBytes,
      needBytes:
        Math.max(peakBytes, elementAt(this.#peakBytes, way.end)) +
        sessions * sessionBytes +
        (countsWeights ? leastWeights : 0),
      way,
      before,
    };
  }

  #put(at: number, label: Label): void {
    const buckets = elementAt(this.#buckets, at);
    const bucket = bucketOf(label.needBytes, this.#rule.ratio);
    if (isBetter(label, buckets.get(bucket), 'latencyMs', 'needBytes')) buckets.set(bucket, label);
    if (isBetter(label, this.#smallest[at], 'needBytes', 'latencyMs')) this.#smallest[at] = label;
  }
}

/** Whether a label is less than another in the first measure, or as much and less in the second. */
function isBetter(
  label: Label,
  known: Label | undefined,
  first: keyof TradeOff,
  second: keyof TradeOff,
): boolean {
  if (known === undefined || label[first] < known[first]) return true;
  return label[first] === known[first] && label[second] < known[second];
}

/** Finds the least value, by cut, that the largest way of any plan from there on has. */
function boundAll(ways: readonly (readonly Way[])[], measure: (way: Way) => number): Float64Array {
  const least = new Float64Array(ways.length);
  for (let at = ways.length - 2; at >= 0; at -= 1) {
    least[at] = elementAt(ways, at).reduce(
      (bound, way) => Math.min(bound, Math.max(measure(way), elementAt(least, way.end))),
      Number.POSITIVE_INFINITY,
    );
  }
  return least;
}

/** Returns the segments of a label's plan, in order. */
export function waysOf({ way, before }: Label): readonly Way[] {
  return way === undefined || before === undefined ? [] : [...waysOf(before), way];
}
