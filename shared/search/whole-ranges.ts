/**
 * What each range of nodes needs when it runs whole, for all ends of a start at once: a tensor that is read behind
 * the end stays alive just as one that is read behind the node, so the peaks of a longer run are those of all
 * shorter ones.
 */
import type { Graph } from '../graph/graph.js';
import { tensorAt, tensorBytes } from '../graph/graph.js';
import type { NodeRange } from '../graph/segment-graph.js';
import { boundaryOf } from '../graph/segment-graph.js';
import type { Work } from '../memory/device-profile.js';
import { emptyWork, WORK_KINDS } from '../memory/device-profile.js';
import { countOperationWork, faultedBytes } from '../memory/latency.js';
import { predictRunPeaks } from '../memory/lifetimes.js';
import { sessionsOf } from '../memory/session-run.js';
import { wholeShapes } from '../tile/tile-shape.js';

export interface WholeNeed {
  readonly work: Work;
  readonly heldBytes: number;
  readonly stepBytes: number;
}

export class WholeRanges {
  readonly #graph: Graph;
  readonly #threads: number;
  readonly #peaks = new Map<number, Float64Array>();
  /** Work of all nodes before each. */
  readonly #sums: readonly Work[];

  constructor(graph: Graph, threads: number) {
    this.#graph = graph;
    this.#threads = threads;
    this.#sums = workSums(graph);
  }

  of({ from, to }: NodeRange): WholeNeed {
    const graph = this.#graph;
    const { inputs, outputs } = boundaryOf(graph, { from, to });
    const bytesOf = (tensors: readonly number[]) =>
      tensors.reduce((sum, index) => sum + tensorBytes(tensorAt(graph, index)), 0);
    const peakBytes = this.#peaksFrom(from)[to - from - 1] ?? 0;
    const outputBytes = bytesOf(outputs);
    const work = this.nodeWork({ from, to });
    work.steps += 1;
    work.copiedBytes += bytesOf(inputs) + outputBytes;
    work.faultedBytes += faultedBytes({ peakBytes, outputBytes });
    return {
      work,
      heldBytes: bytesOf(inputs.filter((index) => graph.inputs.includes(index))),
      stepBytes: Math.max(peakBytes, 2 * outputBytes),
    };
  }

  /** What the kernels do at least, however the range is run. */
  nodeWork({ from, to }: NodeRange): ReturnType<typeof emptyWork> {
    const work = emptyWork();
    for (const kind of WORK_KINDS)
      work[kind] = (this.#sums[to]?.[kind] ?? 0) - (this.#sums[from]?.[kind] ?? 0);
    return work;
  }

  #peaksFrom(from: number): Float64Array {
    const known = this.#peaks.get(from);
    if (known !== undefined) return known;
    const graph = this.#graph;
    const [session] = sessionsOf(graph, { kind: 'whole', from, to: graph.nodes.length });
    if (session === undefined) throw new RangeError('Cannot plan an empty range');
    const step = { shapeOf: wholeShapes(graph), threads: this.#threads };
    const peaks = predictRunPeaks(graph, session, step);
    this.#peaks.set(from, peaks);
    return peaks;
  }
}

/** What each node takes depends on the whole map alone. */
function workSums(graph: Graph): readonly Work[] {
  const [session] = sessionsOf(graph, { kind: 'whole', from: 0, to: graph.nodes.length });
  const sums: Work[] = [emptyWork()];
  for (const [at, operation] of (session?.operations ?? []).entries()) {
    const before = session?.operations[at - 1];
    const work = countOperationWork(graph, { operation, before, shapeOf: wholeShapes(graph) });
    const sum = emptyWork();
    for (const kind of WORK_KINDS) sum[kind] = (sums[at]?.[kind] ?? 0) + work[kind];
    sums.push(sum);
  }
  return sums;
}
