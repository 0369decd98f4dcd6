/**
 * This file finds the needs of each range of nodes that runs whole, for all ends of a start at once.
 *
 * A tensor that is read after the end of a range stays alive like one that is read later in it. So the peaks of a
 * longer run hold those of all shorter ones.
 */

import type { Graph, NodeRange } from '../graph/index.js';
import { elementAt, memoByGraph, tensorAt, tensorBytes } from '../graph/index.js';
import type { PredictSettings, SessionRun, WorkAmounts } from '../predict/index.js';
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

/** The needs of a range that runs whole. */
export interface WholeNeed {
  readonly latencyMs: number;
  readonly heldBytes: number;
  readonly stepBytes: number;
}

/** The graph, and the way it is run. */
export interface WholeContext {
  readonly graph: Graph;
  readonly settings: PredictSettings;
  /** Costs in nanoseconds a unit of work. */
  readonly cost: WorkAmounts;
}

/** The needs of all ranges of a graph, as far as they were asked for. */
export class WholeRanges {
  readonly #maps: RangeMaps;
  readonly #graph: Graph;
  readonly #settings: PredictSettings;
  readonly #cost: WorkAmounts;
  /** Peaks by start of the range, then by operation. */
  readonly #peaks = new Map<number, Float64Array>();
  /** Milliseconds of all nodes before each node. */
  readonly #sums: Float64Array;

  constructor(maps: RangeMaps, { graph, settings, cost }: WholeContext) {
    this.#maps = maps;
    this.#graph = graph;
    this.#settings = settings;
    this.#cost = cost;
    this.#sums = latencySums(graph, cost);
  }

  /** Returns the needs of a range. */
  of({ from, to }: NodeRange): WholeNeed {
    const { inputBytes, imageBytes, outputBytes } = this.#maps.from(from);
    const written = elementAt(outputBytes, to);
    const peakBytes = elementAt(this.#peaksFrom(from), to - from - 1);
    const { steps, copiedBytes, ...cost } = this.#cost;
    const faulted = countFaults({ peakBytes, outputBytes: written });
    const faults = cost.faultedBytes * faulted.faultedBytes + cost.hugeBytes * faulted.hugeBytes;
    const around = (steps + copiedBytes * (elementAt(inputBytes, to) + written) + faults) / 1e6;
    return {
      latencyMs: around + elementAt(this.#sums, to) - elementAt(this.#sums, from),
      heldBytes: elementAt(imageBytes, to),
      stepBytes: stepRatio('whole', this.#settings) * Math.max(peakBytes, 2 * written),
    };
  }

  #peaksFrom(from: number): Float64Array {
    const known = this.#peaks.get(from);
    if (known !== undefined) return known;
    const graph = this.#graph;
    const session = wholeSession(graph, from);
    const peaks = predictRunPeaks(graph, session, {
      shapeOf: wholeShapes(graph),
      level: this.#settings.level,
      threads: this.#settings.threads,
    });
    this.#peaks.set(from, peaks);
    return peaks;
  }
}

/** Returns the session of all nodes from a start to the end of the graph. */
function wholeSession(graph: Graph, from: number): SessionRun {
  return elementAt(sessionsOf(graph, { kind: 'whole', from, to: graph.nodes.length }), 0);
}

/** Counts the work of each operation of the untiled run. */
function* operationWorks(graph: Graph, { operations }: SessionRun): Generator<WorkAmounts> {
  const shapeOf = wholeShapes(graph);
  for (const [at, operation] of operations.entries())
    yield countOperationWork(graph, { operation, before: operations[at - 1], shapeOf });
}

/** Returns the milliseconds of all nodes before each node. A node that runs whole takes the same time in any range. */
function latencySums(graph: Graph, cost: WorkAmounts): Float64Array {
  const sums = [0];
  let sum = 0;
  for (const work of operationWorks(graph, wholeSession(graph, 0))) {
    sum += latencyOf(work, cost);
    sums.push(sum);
  }
  return Float64Array.from(sums);
}

/**
 * Returns the milliseconds that every plan takes at least. It runs all kernels once, reads the inputs, writes the
 * outputs, and runs a session once.
 */
export function leastMs(graph: Graph, cost: WorkAmounts): number {
  return latencyOf(leastWork(graph), cost);
}

const leastWork = memoByGraph((graph): WorkAmounts => {
  const work = emptyWork();
  const session = wholeSession(graph, 0);
  for (const counted of operationWorks(graph, session)) {
    for (const kind of WORK_KINDS) work[kind] += counted[kind];
  }
  work.steps += 1;
  for (const index of [...session.inputs, ...session.outputs])
    work.copiedBytes += tensorBytes(tensorAt(graph, index));
  return work;
});
