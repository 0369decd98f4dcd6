/**
 * Orders the nodes of a model file so that ONNX Runtime runs them in an order that needs little memory.
 *
 * ONNX Runtime searches backwards from the leaves, the nodes whose outputs no node reads. It begins at the
 * last leaf of the file. The rows that a stream keeps are leaves, and so is its last node. Left as they
 * stand, the whole network runs before the first kept rows are cut out, and each map waits until then. That
 * takes a third more memory in each step of a stream.
 *
 * Not guaranteed: between leaves ONNX Runtime chooses the order itself.
 * Source: onnxruntime/core/graph/graph_viewer.cc, Graph::ReverseDFSFrom.
 */

import type { Graph, Node } from '../../../shared/graph/index.js';
import { TensorList, tensorAt } from '../../../shared/graph/index.js';

/** Moves the leaves to the end of the file, last leaf first. ONNX Runtime then runs each leaf as soon as it can. */
export function runLeavesInOrder(graph: Graph): Graph {
  const read = new Set(graph.nodes.flatMap(({ inputs, captures }) => [...inputs, ...captures]));
  const isLeaf = ({ outputs }: Node) => outputs.every((tensor) => !read.has(tensor));
  const leaves = graph.nodes.filter(isLeaf).reverse();
  return { ...graph, nodes: [...graph.nodes.filter((node) => !isLeaf(node)), ...leaves] };
}

/**
 * Adds a Shape node that reads each output, so that the output's own node is no leaf. ONNX Runtime may fuse
 * that node with others and append it to the end of the file, where as a leaf it would run first. The Shape
 * is never fetched and costs microseconds.
 */
export function addOutputReaders(graph: Graph, outputs: readonly number[]): Graph {
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
