/** How many pixels of the image a pixel of a network's smallest map stands for. */
import type { Graph } from './graph.js';
import { intsAttribute, tensorsRead, tensorsWritten } from './graph.js';
import { elementAt } from './lookup.js';

const STRIDED = new Set(['Conv', 'MaxPool', 'AveragePool', 'LpPool']);

/** The largest product of strides on a way from the first input: what sizes of the image are usually a multiple of. */
export function totalStride(graph: Graph): number {
  const strides = new Map([[elementAt(graph.inputs, 0), 1]]);
  for (const node of graph.nodes) {
    const before = Math.max(0, ...tensorsRead(node).map((index) => strides.get(index) ?? 0));
    const [own = 1] = (STRIDED.has(node.op) ? intsAttribute(node, 'strides') : undefined) ?? [];
    if (before > 0) for (const index of tensorsWritten(node)) strides.set(index, before * own);
  }
  return Math.max(...strides.values());
}
