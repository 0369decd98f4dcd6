/** This file counts multiply-accumulates. */

import type { Graph, Node, NodeRange } from '../graph/index.js';
import { elementAt, elementCount, intAttribute, knownShape, tensorAt } from '../graph/index.js';
import type { ShapeOf } from '../tile/index.js';

/** Counts the multiply-accumulates of one node. Operators other than Conv, ConvTranspose, Gemm and MatMul have none. */
export function countMacs(graph: Graph, node: Node, shapeOf: ShapeOf): number {
  const [input = -1, weights = -1] = node.inputs;
  const [output = -1] = node.outputs;
  if (node.domain !== '' || weights < 0 || output < 0) return 0;
  switch (node.op) {
    case 'Conv':
      return elementCount(shapeOf(output)) * countPerPixel(graph, weights);
    case 'ConvTranspose':
      return elementCount(shapeOf(input)) * countPerPixel(graph, weights);
    case 'Gemm': {
      const shape = shapeOf(input);
      const inner = elementAt(shape, intAttribute(node, 'transA', 0) === 0 ? 1 : 0);
      return elementCount(shapeOf(output)) * inner;
    }
    case 'MatMul': {
      const shape = shapeOf(input);
      return elementCount(shapeOf(output)) * elementAt(shape, shape.length - 1);
    }
    default:
      return 0;
  }
}

/** Counts the weights that one pixel is multiplied with for each filter. */
function countPerPixel(graph: Graph, weights: number): number {
  return elementCount(knownShape(tensorAt(graph, weights)).slice(1));
}

/** Counts the multiply-accumulates of a range of nodes over all given steps. */
export function countRangeMacs(graph: Graph, { from, to }: NodeRange, steps: readonly ShapeOf[]): number {
  const nodes = graph.nodes.slice(from, to);
  return steps.reduce(
    (sum, shapeOf) => nodes.reduce((total, node) => total + countMacs(graph, node, shapeOf), sum),
    0,
  );
}
