/**
 * Which local operators can be streamed, and how: with what their vertical padding is filled, and whether they
 * need exactly the rows that they use.
 *
 * Barriers for streams on top of those for tiles: padding made of the map itself (reflect, edge), cropping by
 * Pad, linear interpolation, average pools that don't count their padding or whose last window leaves it, and
 * maps that aren't float32.
 */

import type { Graph, Node, SpatialRule } from '../graph/index.js';
import {
  constantNumbers,
  floatAttribute,
  intAttribute,
  intsAttribute,
  localityOf,
  memoByNode,
  tensorAt,
} from '../graph/index.js';

export type StreamRule =
  | {
      readonly kind: 'stream';
      /** Value of the rows beyond the map. */
      readonly fill: number;
      /** Rows too many at the end change the result; else they are ignored if they make no whole stride. */
      readonly exact: boolean;
    }
  | { readonly kind: 'barrier'; readonly reason: string };

/** From here on Slice takes its bounds as tensors. */
const SLICE_OPSET = 10;

/** How a node that is local (`localityOf`) is streamed. */
export const streamRuleOf = memoByNode(classifyNode);

function classifyNode(graph: Graph, node: Node): StreamRule {
  const locality = localityOf(graph, node);
  if (locality.kind === 'barrier') return locality;
  const rules = locality.inputs.filter((rule) => rule !== null);
  if ((graph.opsets[''] ?? 0) < SLICE_OPSET)
    return barrier(`opset ${graph.opsets['']}, expected ${SLICE_OPSET} or newer`);
  const { dtype } = tensorAt(graph, node.outputs[0] ?? -1);
  if (dtype !== 'float32') return barrier(`${node.op} of ${dtype}, expected float32`);
  if (rules.some(({ rows }) => rows.mirror > 0)) return barrier(`${node.op} mirrors the map at its border`);
  if (rules.some(({ rows }) => rows.pad < 0)) return barrier(`${node.op} crops the map`);
  if (rules.some(({ rows }) => rows.up > 1 && (rows.extent > 1 || rows.pad > 0)))
    return barrier(`${node.op} interpolates`);
  if (node.op === 'AveragePool' && !isEvenAverage(graph, node, rules))
    return barrier('AveragePool that counts its windows unevenly');
  const isWindow = node.op === 'Conv' || (POOLS.has(node.op) && intAttribute(node, 'ceil_mode', 0) === 0);
  return { kind: 'stream', fill: fillOf(graph, node), exact: !isWindow };
}

function barrier(reason: string): StreamRule {
  return { kind: 'barrier', reason };
}

const POOLS = new Set(['MaxPool', 'AveragePool', 'LpPool']);

/** Whether every window is divided by the same number, as it is when the padding consists of rows. */
function isEvenAverage(graph: Graph, node: Node, [rule]: readonly SpatialRule[]): boolean {
  if (rule === undefined) return false;
  const [top = 0, , bottom = 0] = intsAttribute(node, 'pads') ?? [];
  const rowsIn = tensorAt(graph, node.inputs[0] ?? -1).shape?.[2] ?? 0;
  const rowsOut = tensorAt(graph, node.outputs[0] ?? -1).shape?.[2] ?? 0;
  const reach = (rowsOut - 1) * rule.rows.stride - top + rule.rows.extent - rowsIn;
  const countsPadding = intAttribute(node, 'count_include_pad', 0) === 1;
  return countsPadding ? reach <= bottom : top === 0 && reach <= 0;
}

function fillOf(graph: Graph, node: Node): number {
  if (node.op === 'MaxPool') return Number.NEGATIVE_INFINITY;
  if (node.op !== 'Pad') return 0;
  const given = node.inputs[2] ?? -1;
  return given < 0 ? floatAttribute(node, 'value', 0) : (constantNumbers(graph, given)?.[0] ?? 0);
}
