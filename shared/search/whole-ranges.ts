/**
 * This file finds the needs of each range of nodes that runs whole, for all ends of a start at once.
 *
 * A tensor that is read after the end of a range stays alive like one that is read later in it. So the peaks of a
 * longer run hold those of all shorter ones.
 */

import type { Graph, NodeRange } from '../graph/index.js';
import { elementAt } from '../graph/index.js';
import type { Predictor, SessionNeed } from '../predict/index.js';
import { wholeSession } from '../predict/index.js';
import type { RangeMaps } from './range-maps.js';

/** The needs of all ranges of a graph, as far as they were asked for. */
export class WholeRanges {
  readonly #maps: RangeMaps;
  readonly #graph: Graph;
  readonly #predictor: Predictor;
  /** Peaks by start of the range, then by node. */
  readonly #peaks = new Map<number, Float64Array>();
  /** Nanoseconds of all nodes before each node. A node that runs whole takes the same time in any range. */
  readonly #sums = [0];

  constructor(
    maps: RangeMaps,
    { graph, predictor }: { readonly graph: Graph; readonly predictor: Predictor },
  ) {
    this.#maps = maps;
    this.#graph = graph;
    this.#predictor = predictor;
    const { session, sizes } = this.#sessionFrom(0);
    for (const [at, call] of session.calls.entries())
      this.#sums.push(elementAt(this.#sums, at) + predictor.account.callNs(call, sizes));
  }

  /** Returns the needs of a range. */
  of({ from, to }: NodeRange): Omit<SessionNeed, 'macs'> {
    const { inputBytes, imageBytes, outputBytes } = this.#maps.from(from);
    const written = elementAt(outputBytes, to);
    const peakBytes = elementAt(this.#peaksFrom(from), to - from - 1);
    const run = { peakBytes, outputBytes: written };
    const around = this.#predictor.account.around(run, elementAt(inputBytes, to));
    return {
      latencyMs: (around + elementAt(this.#sums, to) - elementAt(this.#sums, from)) / 1e6,
      heldBytes: elementAt(imageBytes, to),
      stepBytes: Math.max(peakBytes, 2 * written),
      kinds: 1,
    };
  }

  #peaksFrom(from: number): Float64Array {
    const known = this.#peaks.get(from) ?? this.#findPeaks(from);
    this.#peaks.set(from, known);
    return known;
  }

  #findPeaks(from: number): Float64Array {
    const { session, sizes } = this.#sessionFrom(from);
    return this.#predictor.account.peaksOf(session, sizes);
  }

  #sessionFrom(from: number) {
    const range = { from, to: this.#graph.nodes.length };
    const { session, steps } = wholeSession(this.#graph, this.#predictor.account.kernels, range);
    return { session, sizes: elementAt(steps, 0).sizes };
  }
}
