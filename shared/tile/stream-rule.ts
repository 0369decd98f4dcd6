/**
 * This file says which local operators can be streamed, and how. A rule gives the value of their vertical padding,
 * and whether they need exactly the rows that they use.
 *
 * All barriers for tiles are barriers for streams. These are barriers for streams alone:
 *
 * - padding that is made of the map itself (reflect, edge)
 * - cropping by Pad, and linear interpolation
 * - average pools that don't count their padding, or whose last window leaves it
 * - maps whose padding is computed, and maps of other types than floats, bytes and 32-bit integers
 */

import type { DataType, Graph, Node, SpatialRule } from '../graph/index.js';
import {
  constantNumbers,
  elementAt,
  floatAttribute,
  intAttribute,
  intsAttribute,
  isConvolution,
  knownShape,
  localityOf,
  memoByNode,
  tensorAt,
  zeroPointOf,
} from '../graph/index.js';

export type StreamRule =
  | {
      readonly kind: 'stream';
      /** Value of the rows beyond the map. */
      readonly fill: number;
      /** Whether surplus rows at the end change the result. Else they are ignored if they make no whole stride. */
      readonly exact: boolean;
    }
  | { readonly kind: 'barrier'; readonly reason: string };

/** First operator set in which Slice takes its bounds as tensors. */
const SLICE_OPSET = 10;

/** Returns how a node that is local (`localityOf`) is streamed. */
export const streamRuleOf = memoByNode(classifyNode);

function classifyNode(graph: Graph, node: Node): StreamRule {
  const locality = localityOf(graph, node);
  if (locality.kind === 'barrier') return locality;
  const rules = locality.inputs.filter((rule) => rule !== null);
  // A graph of custom operators alone has no standard opset, and so no standard Slice.
  const opset = graph.opsets[''] ?? 0;
  if (opset < SLICE_OPSET) return barrier(`opset ${opset}, expected ${SLICE_OPSET} or newer`);
  const { dtype } = tensorAt(graph, elementAt(node.outputs, 0));
  if (!STREAMED_TYPES.has(dtype))
    return barrier(`${node.op} of ${dtype}, expected ${[...STREAMED_TYPES].join(', ')}`);
  if (rules.some(({ rows }) => rows.mirror > 0)) return barrier(`${node.op} mirrors the map at its border`);
  if (rules.some(({ rows }) => rows.pad < 0)) return barrier(`${node.op} crops the map`);
  if (rules.some(({ rows }) => rows.up > 1 && (rows.extent > 1 || rows.pad > 0)))
    return barrier(`${node.op} interpolates`);
  if (AVERAGES.has(node.op) && !isEvenAverage(graph, node, rules))
    return barrier(`${node.op} that counts its windows unevenly`);
  const isWindow = isConvolution(node) || (POOLS.has(node.op) && intAttribute(node, 'ceil_mode', 0) === 0);
  const fill = fillOf(graph, node);
  if (fill === undefined) return barrier(`${node.op} whose padding value can't be read`);
  return { kind: 'stream', fill, exact: !isWindow };
}

function barrier(reason: string): StreamRule {
  return { kind: 'barrier', reason };
}

/** Types whose rows are kept from step to step. */
export const STREAMED_TYPES: ReadonlySet<DataType> = new Set(['float32', 'uint8', 'int8', 'int32']);

const AVERAGES = new Set(['AveragePool', 'QLinearAveragePool']);
const POOLS = new Set(['MaxPool', 'LpPool', ...AVERAGES]);

/** Whether every window is divided by the same number, as it is when the padding consists of rows. */
function isEvenAverage(graph: Graph, node: Node, [rule]: readonly SpatialRule[]): boolean {
  if (rule === undefined) return false;
  const [top = 0, , bottom = 0] = intsAttribute(node, 'pads') ?? [];
  const rowsOf = (tensor: number) => elementAt(knownShape(tensorAt(graph, tensor)), 2);
  const rowsIn = rowsOf(elementAt(node.inputs, 0));
  const rowsOut = rowsOf(elementAt(node.outputs, 0));
  const reach = (rowsOut - 1) * rule.rows.stride - top + rule.rows.extent - rowsIn;
  const countsPadding = intAttribute(node, 'count_include_pad', 0) === 1;
  return countsPadding ? reach <= bottom : top === 0 && reach <= 0;
}

/** Least values of the types that have a MaxPool. */
const LEAST: Partial<Record<DataType, number>> = {
  float32: Number.NEGATIVE_INFINITY,
  uint8: 0,
  int8: -128,
};

/** Returns the value of the rows beyond the map. @returns undefined if it isn't in the graph. */
function fillOf(graph: Graph, node: Node): number | undefined {
  if (node.op === 'MaxPool') return LEAST[tensorAt(graph, elementAt(node.inputs, 0)).dtype];
  if (node.op !== 'Pad') return zeroPointOf(graph, node);
  const [, , given = -1] = node.inputs;
  if (given < 0) return floatAttribute(node, 'value', 0);
  return constantNumbers(graph, given)?.[0];
}
