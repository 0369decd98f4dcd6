/**
 * Finds what nodes compute of constants alone: weights that a DequantizeLinear makes of stored bytes, say. They are kept
 * as nodes since their results are larger than what is stored. A constant expression has no space, like a constant.
 */
import type { Graph, Node } from './graph.js';
import { tensorsRead, tensorsWritten } from './graph.js';
import { memoByGraph } from './memo.js';

/** Constants, and tensors that nodes compute of constants alone. */
export const constantTensors = memoByGraph((graph): ReadonlySet<number> => {
  const found = new Set(graph.tensors.flatMap(({ constant }, index) => (constant === null ? [] : [index])));
  for (const node of graph.nodes) {
    if (!readsConstants(node, found)) continue;
    for (const index of tensorsWritten(node)) found.add(index);
  }
  return found;
});

/** Whether a node reads constants and what is computed of them, and nothing else. */
export function isConstantExpression(graph: Graph, node: Node): boolean {
  return readsConstants(node, constantTensors(graph));
}

function readsConstants(node: Node, constant: ReadonlySet<number>): boolean {
  const read = tensorsRead(node);
  return read.length > 0 && read.every((index) => constant.has(index));
}
