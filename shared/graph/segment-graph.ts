import { compactGraph } from './edit-graph.js';
import type { Graph } from './graph.js';
import { tensorAt, tensorsRead, tensorsWritten } from './graph.js';
import { memoByGraph } from './memo.js';

/** Nodes [from, to) of a graph in its fixed order. */
export interface NodeRange {
  readonly from: number;
  readonly to: number;
}

/** Tensors a range of nodes reads from outside (no constants) and those it computes for later. */
export interface Boundary {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

export function boundaryOf(graph: Graph, { from, to }: NodeRange): Boundary {
  const lastReads = lastReadsOf(graph);
  const computed = new Set<number>();
  const inputs = new Set<number>();
  for (let at = from; at < to; at += 1) {
    const node = graph.nodes[at];
    if (node === undefined) continue;
    for (const index of tensorsRead(node)) if (!computed.has(index)) inputs.add(index);
    for (const index of tensorsWritten(node)) computed.add(index);
  }
  return {
    inputs: [...inputs].filter((index) => tensorAt(graph, index).constant === null),
    outputs: [...computed].filter((index) => (lastReads[index] ?? -1) >= to),
  };
}

/** Position of the last node that reads each tensor; beyond all nodes for the graph's outputs, -1 if nobody does. */
const lastReadsOf = memoByGraph((graph) => {
  const last = new Float64Array(graph.tensors.length).fill(-1);
  for (const [at, node] of graph.nodes.entries()) {
    for (const index of tensorsRead(node)) last[index] = at;
  }
  for (const index of graph.outputs) last[index] = Number.POSITIVE_INFINITY;
  return last;
});

/** The range as a graph of its own; tensors keep their names, external constants their places. */
export function extractSegment(graph: Graph, range: NodeRange): Graph {
  const boundary = boundaryOf(graph, range);
  const nodes = graph.nodes.slice(range.from, range.to);
  return compactGraph({ ...graph, nodes, inputs: boundary.inputs, outputs: boundary.outputs });
}
