/**
 * What each range of nodes needs when it runs whole, for all ends of a start at once: a tensor that is read behind
 * the end stays alive just as one that is read behind the node, so the peaks of a longer run are those of all
 * shorter ones.
 */

import type { Graph, NodeRange } from '../graph/index.js';
import { memoByGraph, tensorAt, tensorBytes } from '../graph/index.js';
import type { PredictSettings, WorkAmounts } from '../predict/index.js';
import {
  countFaults,
  countOperationWork,
  emptyWork,
  latencyOf,
  predictRunPeaks,
  sessionsOf,
  stepRatio,
  WORK_KINDS,
} from '../predict/index.js';
import { wholeShapes } from '../tile/index.js';
import type { RangeMaps } from './range-maps.js';

export interface WholeNeed {
  readonly latencyMs: number;
  readonly heldBytes: number;
  readonly stepBytes: number;
}

export interface WholeContext {
  readonly graph: Graph;
  readonly settings: PredictSettings;
  /** Nanoseconds a unit of work. */
  readonly cost: WorkAmounts;
}

export class WholeRanges {
  readonly #maps: RangeMaps;
  readonly #graph: Graph;
  readonly #settings: PredictSettings;
  readonly #cost: WorkAmounts;
  readonly #peaks = new Map<number, Float64Array>();
  /** Milliseconds of all nodes before each. */
  readonly #sums: Float64Array;

  constructor(maps: RangeMaps, { graph, settings, cost }: WholeContext) {
    this.#maps = maps;
    this.#graph = graph;
    this.#settings = settings;
    this.#cost = cost;
    this.#sums = latencySums(graph, cost);
  }

  of({ from, to }: NodeRange): WholeNeed {
    const { inputBytes, imageBytes, outputBytes } = this.#maps.from(from);
    const written = outputBytes[to] ?? 0;
    const peakBytes = this.#peaksFrom(from)[to - from - 1] ?? 0;
    const { steps, copiedBytes, ...cost } = this.#cost;
    const faulted = countFaults({ peakBytes, outputBytes: written });
    const faults = cost.faultedBytes * faulted.faultedBytes + cost.hugeBytes * faulted.hugeBytes;
    const around = (steps + copiedBytes * ((inputBytes[to] ?? 0) + written) + faults) / 1e6;
    return {
      latencyMs: around + (this.#sums[to] ?? 0) - (this.#sums[from] ?? 0),
      heldBytes: imageBytes[to] ?? 0,
      stepBytes: stepRatio('whole', this.#settings) * Math.max(peakBytes, 2 * written),
    };
  }

  #peaksFrom(from: number): Float64Array {
    const known = this.#peaks.get(from);
    if (known !== undefined) return known;
    const graph = this.#graph;
    const [session] = sessionsOf(graph, { kind: 'whole', from, to: graph.nodes.length });
    if (session === undefined) throw new RangeError('Cannot plan an empty range');
    const peaks = predictRunPeaks(graph, session, {
      shapeOf: wholeShapes(graph),
      level: this.#settings.level,
      threads: this.#settings.threads,
    });
    this.#peaks.set(from, peaks);
    return peaks;
  }
}

/** What each node takes depends on the whole map alone. */
function latencySums(graph: Graph, cost: WorkAmounts): Float64Array {
  const sums = new Float64Array(graph.nodes.length + 1);
  const [session] = sessionsOf(graph, { kind: 'whole', from: 0, to: graph.nodes.length });
  for (const [at, operation] of (session?.operations ?? []).entries()) {
    const before = session?.operations[at - 1];
    const work = countOperationWork(graph, { operation, before, shapeOf: wholeShapes(graph) });
    sums[at + 1] = (sums[at] ?? 0) + latencyOf(work, cost);
  }
  return sums;
}

/** Milliseconds that every plan takes at least: all kernels once, inputs read, outputs written, one run of a session. */
export function leastMs(graph: Graph, cost: WorkAmounts): number {
  return latencyOf(leastWork(graph), cost);
}

const leastWork = memoByGraph((graph): WorkAmounts => {
  const work = emptyWork();
  const [session] = sessionsOf(graph, { kind: 'whole', from: 0, to: graph.nodes.length });
  for (const [at, operation] of (session?.operations ?? []).entries()) {
    const before = session?.operations[at - 1];
    const counted = countOperationWork(graph, { operation, before, shapeOf: wholeShapes(graph) });
    for (const kind of WORK_KINDS) work[kind] += counted[kind];
  }
  work.steps += 1;
  for (const index of [...(session?.inputs ?? []), ...(session?.outputs ?? [])])
    work.copiedBytes += tensorBytes(tensorAt(graph, index));
  return work;
});
