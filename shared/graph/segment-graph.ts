/** Ranges of a graph's nodes: what they read and write, and the range as a graph. */
import { compactGraph } from './edit-graph.js';
import type { Graph } from './graph.js';
import { tensorAt, tensorsRead, tensorsWritten } from './graph.js';
import { elementAt } from './lookup.js';
import { memoByGraph } from './memo.js';

/** Nodes [from, to) of a graph in its fixed order. */
export interface NodeRange {
  readonly from: number;
  readonly to: number;
}

/** Tensors that a range of nodes reads from outside, constants left out, and tensors that later nodes read of it. */
export interface Boundary {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

export function boundaryOf(graph: Graph, { from, to }: NodeRange): Boundary {
  const lastReads = lastReadsOf(graph);
  const computed = new Set<number>();
  const inputs = new Set<number>();
  for (const node of graph.nodes.slice(from, to)) {
    for (const index of tensorsRead(node)) if (!computed.has(index)) inputs.add(index);
    for (const index of tensorsWritten(node)) computed.add(index);
  }
  return {
    inputs: [...inputs].filter((index) => tensorAt(graph, index).constant === null),
    outputs: [...computed].filter((index) => elementAt(lastReads, index) >= to),
  };
}

/** Position of the last node that reads each tensor: infinity for the graph's outputs, -1 if no node reads it. */
export const lastReadsOf = memoByGraph((graph) => {
  const last = new Float64Array(graph.tensors.length).fill(-1);
  for (const [at, node] of graph.nodes.entries()) {
    for (const index of tensorsRead(node)) last[index] = at;
  }
  for (const index of graph.outputs) last[index] = Number.POSITIVE_INFINITY;
  return last;
});

/** The range as a graph. Tensors keep their names, external constants their places in the data file. */
export function extractSegment(graph: Graph, range: NodeRange): Graph {
  const boundary = boundaryOf(graph, range);
  const nodes = graph.nodes.slice(range.from, range.to);
  return compactGraph({ ...graph, nodes, inputs: boundary.inputs, outputs: boundary.outputs });
}
