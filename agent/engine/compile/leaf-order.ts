/**
 * The order in which ONNX Runtime runs the nodes of a model, as far as a file can decide it.
 *
 * It searches backwards from the leaves, the nodes whose outputs no node reads, and begins at the last leaf of the
 * file. Rows that a stream keeps are leaves, and so is its last node: as they stand, all of the network runs before the first
 * rows are cut out, and each map waits for that. A step of a stream needs a third more memory so.
 * Source: onnxruntime/core/graph/graph_viewer.cc, Graph::ReverseDFSFrom.
 */

import type { Graph, Node } from '../../../shared/graph/index.js';
import { TensorList, tensorAt } from '../../../shared/graph/index.js';

/** Leaves in the order they stand in, each as soon as it can. */
export function runLeavesInOrder(graph: Graph): Graph {
  const read = new Set(graph.nodes.flatMap(({ inputs, captures }) => [...inputs, ...captures]));
  const isLeaf = ({ outputs }: Node) => outputs.every((tensor) => !read.has(tensor));
  const leaves = graph.nodes.filter(isLeaf).reverse();
  return { ...graph, nodes: [...graph.nodes.filter((node) => !isLeaf(node)), ...leaves] };
}

/**
 * Makes the node of an output no leaf: whatever ONNX Runtime fuses it with comes to stand behind all others, and would run
 * first. The Shape that reads it instead is never fetched and costs microseconds.
 */
export function endBehind(graph: Graph, outputs: readonly number[]): Graph {
  const list = new TensorList(graph);
  const ends = outputs.map((output): Node => {
    const { name } = tensorAt(graph, output);
    const end = list.add({ name: `${name}/end`, dtype: 'int64', shape: [4], constant: null });
    return {
      name: `${name}/end`,
      op: 'Shape',
      domain: '',
      inputs: [output],
      outputs: [end],
      attributes: {},
      captures: [],
      layer: 0,
    };
  });
  return {
    ...graph,
    tensors: list.tensors,
    nodes: [...graph.nodes, ...ends],
    outputs: [...graph.outputs, ...ends.flatMap((end) => end.outputs)],
  };
}
