import { compactGraph } from './edit-graph.js';
import type { Graph } from './graph.js';
import { tensorAt, tensorsRead, tensorsWritten } from './graph.js';

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
  const nodes = graph.nodes.slice(from, to);
  const computed = new Set(nodes.flatMap(tensorsWritten));
  const read = new Set(nodes.flatMap(tensorsRead));
  const later = new Set([...graph.nodes.slice(to).flatMap(tensorsRead), ...graph.outputs]);
  return {
    inputs: [...read].filter((index) => !computed.has(index) && tensorAt(graph, index).constant === null),
    outputs: [...computed].filter((index) => later.has(index)),
  };
}

/** The range as a graph of its own; tensors keep their names, external constants their places. */
export function extractSegment(graph: Graph, range: NodeRange): Graph {
  const boundary = boundaryOf(graph, range);
  const nodes = graph.nodes.slice(range.from, range.to);
  return compactGraph({ ...graph, nodes, inputs: boundary.inputs, outputs: boundary.outputs });
}
