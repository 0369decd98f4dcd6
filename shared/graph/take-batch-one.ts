/** Rewrites a network of a fixed batch to take one image. */
import { constantNumbers, inlineConstant } from './constant-values.js';
import type { Graph } from './graph.js';
import { inputAt } from './graph.js';

/**
 * The graph whose Reshapes to [batch, ...] go to [1, ...] instead. Its shapes must be inferred again, and outputs that don't
 * shrink to a batch of 1 show that the batch is used elsewhere.
 */
export function takeBatchOne(graph: Graph, batch: number): Graph {
  const isShape = (index: number) =>
    graph.nodes.every((node) =>
      node.inputs.every((input, at) => input !== index || (node.op === 'Reshape' && at === 1)),
    );
  const shapes = new Set(graph.nodes.filter(({ op }) => op === 'Reshape').map((node) => inputAt(node, 1)));
  const tensors = graph.tensors.map((tensor, index) => {
    if (!shapes.has(index) || !isShape(index)) return tensor;
    const [first, ...rest] = constantNumbers(graph, index) ?? [];
    if (first !== batch) return tensor;
    return { ...tensor, constant: inlineConstant(BigInt64Array.from([1, ...rest], BigInt)) };
  });
  return { ...graph, tensors };
}
