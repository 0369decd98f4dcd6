/**
 * The window rule of Resize by whole factors or by their inverses, and of Upsample in old opsets.
 *
 * Nearest works for any whole factor, since a shift by `factor` output rows is a shift by one input row. This
 * holds for all coordinate transformations but align_corners and tf_crop. Linear interpolation works for powers
 * of two alone, whose weights are exact in float32 wherever the tile starts. Both shrink by powers of two alone, since
 * the coordinates of other factors are rounded.
 * Source: onnx/docs/Operators.md, Resize.
 */
import type { AxisRule } from './axis-rule.js';
import { POINTWISE } from './axis-rule.js';
import { constantNumbers } from './constant-values.js';
import type { Graph, Node } from './graph.js';
import { inputAt, intAttribute, intsAttribute, onnxOpset, stringAttribute } from './graph.js';
import { elementAt } from './lookup.js';

type ResizeRule =
  | { readonly kind: 'rule'; readonly rule: { readonly rows: AxisRule; readonly cols: AxisRule } }
  | { readonly kind: 'barrier'; readonly reason: string };

const SHIFT_INVARIANT = new Set(['half_pixel', 'pytorch_half_pixel', 'asymmetric', 'half_pixel_symmetric']);

/** Scale factors of all axes, or undefined if they aren't constants of the model. */
function resizeScales(graph: Graph, node: Node): readonly number[] | undefined {
  if (node.op === 'Upsample') return floatScales(node) ?? constantNumbers(graph, inputAt(node, 1));
  const scales = constantNumbers(graph, inputAt(node, onnxOpset(graph) >= 11 ? 2 : 1));
  return scales?.length === 0 ? undefined : scales;
}

function floatScales(node: Node): readonly number[] | undefined {
  const attribute = node.attributes.scales;
  return attribute?.kind === 'floats' ? attribute.value : undefined;
}

/** Rule of a node, or the reason why it is a barrier. */
export function resizeRule(graph: Graph, node: Node): ResizeRule {
  const scales = resizeScales(graph, node);
  if (scales?.length !== 4 || scales[0] !== 1 || scales[1] !== 1) return barrier('Resize of computed size');
  if (intsAttribute(node, 'axes') !== undefined) return barrier('Resize by axes');
  if (intAttribute(node, 'antialias', 0) !== 0) return barrier('Resize with antialias');
  const transformation = transformationOf(graph, node);
  if (!SHIFT_INVARIANT.has(transformation)) return barrier(`Resize with ${transformation}`);
  const mode = stringAttribute(node, 'mode', 'nearest');
  const reach = reachOf(mode, { transformation, rounding: roundingOf(graph, node) });
  const rows = reach?.(elementAt(scales, 2));
  const cols = reach?.(elementAt(scales, 3));
  if (rows === undefined || cols === undefined) {
    return barrier(`Resize ${mode} by ${scales.slice(2).join(' x ')}`);
  }
  return { kind: 'rule', rule: { rows, cols } };
}

function barrier(reason: string): ResizeRule {
  return { kind: 'barrier', reason };
}

/** Coordinate transformation. Before opset 11 it was always asymmetric and had no attribute. */
function transformationOf(graph: Graph, node: Node): string {
  if (node.op === 'Upsample' || onnxOpset(graph) < 11) return 'asymmetric';
  return stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel');
}

function roundingOf(graph: Graph, node: Node): string {
  if (node.op === 'Upsample' || onnxOpset(graph) < 11) return 'floor';
  return stringAttribute(node, 'nearest_mode', 'round_prefer_floor');
}

const ROUNDINGS: ReadonlyMap<string, (x: number) => number> = new Map(
  Object.entries<(x: number) => number>({
    floor: Math.floor,
    ceil: Math.ceil,
    round_prefer_floor: (x) => Math.ceil(x - 0.5),
    round_prefer_ceil: (x) => Math.floor(x + 0.5),
  }),
);

interface ResizeMode {
  readonly transformation: string;
  readonly rounding: string;
}

/** Rule of an interpolation by scale, or undefined if the interpolation isn't local. */
function reachOf(
  mode: string,
  { transformation, rounding }: ResizeMode,
): ((scale: number) => AxisRule | undefined) | undefined {
  const shift = transformation === 'asymmetric' ? 0 : 0.5;
  const round = ROUNDINGS.get(rounding);
  if (mode === 'nearest' && round !== undefined) {
    const read = (x: number): [number, number] => [round(x), round(x)];
    return (scale) => (scale < 1 ? shrinkRule(scale, shift, read) : growRule(scale, shift, read));
  }
  if (mode === 'linear') {
    const read = (x: number): [number, number] => [Math.floor(x), Math.floor(x) + 1];
    return (scale) => {
      if (scale < 1) return shrinkRule(scale, shift, read);
      return Number.isInteger(Math.log2(scale)) ? growRule(scale, shift, read) : undefined;
    };
  }
  return undefined;
}

/** Rule of a map that shrinks by a power of two: the one output row of `stride` input rows reads these. */
function shrinkRule(
  factor: number,
  shift: number,
  read: (x: number) => [number, number],
): AxisRule | undefined {
  const stride = 1 / factor;
  if (!Number.isInteger(Math.log2(stride))) return undefined;
  const [first, last] = read(shift * stride - shift);
  return { up: 1, stride, pad: 0 - first, extent: last - first + 1, mirror: 0 };
}

/**
 * Rule that covers all input rows that the `factor` output rows of one input row read. `read` gives the first
 * and last input row, relative to that row, of a coordinate.
 */
function growRule(
  factor: number,
  shift: number,
  read: (x: number) => [number, number],
): AxisRule | undefined {
  if (!Number.isInteger(factor)) return undefined;
  if (factor === 1) return POINTWISE;
  const reads = Array.from({ length: factor }, (_, row) => read((row + shift) / factor - shift));
  const first = Math.min(...reads.map(([from]) => from));
  const last = Math.max(...reads.map(([, to]) => to));
  return { up: factor, stride: 1, pad: 0 - first, extent: last - first + 1, mirror: 0 };
}
