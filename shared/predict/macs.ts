import type { Graph, Node, NodeRange } from '../graph/index.js';
import { elementCount, intAttribute, tensorAt } from '../graph/index.js';
import type { ShapeOf } from '../tile/index.js';

/** Multiply-accumulates of one node; operators other than Conv, ConvTranspose, Gemm and MatMul count as none. */
export function countMacs(graph: Graph, node: Node, shapeOf: ShapeOf): number {
  const [input = -1, weights = -1] = node.inputs;
  const output = node.outputs[0] ?? -1;
  if (node.domain !== '' || weights < 0 || output < 0) return 0;
  switch (node.op) {
    case 'Conv': {
      const perPixel = elementCount(tensorAt(graph, weights).shape?.slice(1) ?? []);
      return elementCount(shapeOf(output)) * perPixel;
    }
    case 'ConvTranspose': {
      const perPixel = elementCount(tensorAt(graph, weights).shape?.slice(1) ?? []);
      return elementCount(shapeOf(input)) * perPixel;
    }
    case 'Gemm': {
      const shape = shapeOf(input);
      const inner = intAttribute(node, 'transA', 0) === 0 ? shape.at(-1) : shape.at(-2);
      return elementCount(shapeOf(output)) * (inner ?? 1);
    }
    case 'MatMul':
      return elementCount(shapeOf(output)) * (shapeOf(input).at(-1) ?? 1);
    default:
      return 0;
  }
}

/** Multiply-accumulates of a range of nodes over all given steps. */
export function countRangeMacs(graph: Graph, { from, to }: NodeRange, steps: readonly ShapeOf[]): number {
  const nodes = graph.nodes.slice(from, to);
  return steps.reduce(
    (sum, shapeOf) => nodes.reduce((total, node) => total + countMacs(graph, node, shapeOf), sum),
    0,
  );
}
