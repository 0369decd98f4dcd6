/**
 * This file says which local operators can be streamed, and how. There are two ways:
 *
 * - `padded`: the operator loses its vertical padding, and rows of one value are joined to the map's borders. The rule
 *   gives that value, and whether the operator needs exactly the rows that it uses.
 * - `cropped`: the operator stays as it is and runs over a block of rows. What it does at a border is right at the
 *   map's borders. Between them it gives wrong rows, which are cropped. This way is for padding that isn't of one
 *   value, for interpolation, for transposed convolutions, for uneven averages and for operators that crop.
 *
 * All barriers for tiles are barriers for streams. Only maps whose padding is computed, and maps of other types than floats,
 * bytes and 32-bit integers, are barriers for streams alone.
 */

import type { AxisRule, DataType, Graph, Node, SpatialRule } from '../graph/index.js';
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

export type StreamWay =
  | {
      readonly kind: 'padded';
      /** Value of the rows beyond the map. */
      readonly fill: number;
      /** Whether surplus rows at the end change the result. Else they are ignored if they make no whole stride. */
      readonly exact: boolean;
    }
  | { readonly kind: 'cropped' };

export type StreamRule = StreamWay | { readonly kind: 'barrier'; readonly reason: string };

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
  if (isCropped(graph, node, rules)) return { kind: 'cropped' };
  const isWindow = isConvolution(node) || (POOLS.has(node.op) && intAttribute(node, 'ceil_mode', 0) === 0);
  const fill = fillOf(graph, node);
  if (fill === undefined) return barrier(`${node.op} whose padding value can't be read`);
  return { kind: 'padded', fill, exact: !isWindow };
}

/** Whether an operator runs over blocks as it is. What it does at a border can't be had by rows of one value there. */
function isCropped(graph: Graph, node: Node, rules: readonly SpatialRule[]): boolean {
  switch (node.op) {
    case 'ConvTranspose':
      return true;
    case 'Slice':
      return rowsOf(graph, elementAt(node.inputs, 0)) !== rowsOf(graph, elementAt(node.outputs, 0));
    case 'AveragePool':
    case 'QLinearAveragePool':
      return !isEvenAverage(graph, node, rules);
    default:
      return rules.some(({ rows }) => rows.mirror > 0 || (interpolates(node, rows) && !isCopied(rows)));
  }
}

function rowsOf(graph: Graph, tensor: number): number {
  return elementAt(knownShape(tensorAt(graph, tensor)), 2);
}

function interpolates({ op }: Node, { pad }: AxisRule): boolean {
  return op === 'Resize' || op === 'Upsample' || pad < 0;
}

/** Whether an output row reads one input row, and each input row is read by as many. */
function isCopied({ stride, pad, extent }: AxisRule): boolean {
  return stride === 1 && pad === 0 && extent === 1;
}

function barrier(reason: string): StreamRule {
  return { kind: 'barrier', reason };
}

/** Types whose rows are kept from step to step. */
export const STREAMED_TYPES: ReadonlySet<DataType> = new Set(['float32', 'uint8', 'int8', 'int32']);

const POOLS = new Set(['MaxPool', 'LpPool', 'AveragePool', 'QLinearAveragePool']);

/** Whether every window is divided by the same number, as it is when the padding consists of rows. */
function isEvenAverage(graph: Graph, node: Node, [rule]: readonly SpatialRule[]): boolean {
  if (rule === undefined) return false;
  const [top = 0, , bottom = 0] = intsAttribute(node, 'pads') ?? [];
  const rowsIn = rowsOf(graph, elementAt(node.inputs, 0));
  const rowsOut = rowsOf(graph, elementAt(node.outputs, 0));
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
