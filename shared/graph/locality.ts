/**
 * Decides which operators are spatially local: an output pixel depends on the same window of input pixels
 * everywhere. Local operators can be tiled or streamed. Every other operator is a barrier and runs whole.
 *
 * A node's locality has an entry for each input: the window rule of both axes, or `null` if the operand has no
 * space. Such operands (weights, factors of channels, a squeeze-excite gate) go whole to every tile.
 *
 * Expects a graph that `normalize.ts` has prepared: pads explicit, Resize by scales, shapes known.
 */
import type { AxisRule } from './axis-rule.js';
import { POINTWISE, windowRule } from './axis-rule.js';
import { constantTensors, isConstantExpression } from './constant-expressions.js';
import { constantNumbers } from './constant-values.js';
import type { Graph, Node } from './graph.js';
import {
  inputAt,
  intAttribute,
  intsAttribute,
  onnxOpset,
  outputAt,
  stringAttribute,
  tensorAt,
  tensorsWritten,
} from './graph.js';
import { elementAt } from './lookup.js';
import { memoByGraph, memoByNode } from './memo.js';
import type { QuantizedForm } from './quantized.js';
import { isMapInput, quantizedForm } from './quantized.js';
import { resizeRule } from './resize-rule.js';
import type { SliceBounds } from './slice-bounds.js';
import { SLICE_END, sliceBounds } from './slice-bounds.js';
import { transposedRule, transposedWindows } from './transposed-window.js';
import { varyingFrom } from './varying-shapes.js';
import { windowsOf } from './window-attributes.js';

export interface SpatialRule {
  readonly rows: AxisRule;
  readonly cols: AxisRule;
}

type Locality =
  | { readonly kind: 'local'; readonly inputs: readonly (SpatialRule | null)[] }
  | { readonly kind: 'barrier'; readonly reason: string };

const SAME: SpatialRule = { rows: POINTWISE, cols: POINTWISE };

/** Locality of a node of a normalised graph. A barrier's reason is for `mafat model show` and error messages. */
export const localityOf = memoByNode(classifyNode);

/** Nodes after which nothing may be cut. */
const varyingNodes = memoByGraph((graph) => new Set(graph.nodes.slice(varyingFrom(graph))));

function classifyNode(graph: Graph, node: Node): Locality {
  if (varyingNodes(graph).has(node)) return barrier('after a shape that depends on the image');
  if (isConstantExpression(graph, node)) return { kind: 'local', inputs: node.inputs.map(() => null) };
  const quantized = quantizedForm(node);
  if (quantized !== undefined) return classifyQuantized(graph, node, quantized);
  if (node.domain !== '') return barrier(`operator of domain "${node.domain}"`);
  const classify = CLASSIFIERS.get(node.op);
  if (classify === undefined) return barrier(`${node.op} isn't spatially local`);
  // Elementwise operators check their operands themselves. All other operators have their map first.
  const maps = classify === elementwise ? [] : [inputAt(node, 0)];
  const written = tensorsWritten(node).filter((index) => !isNumber(graph, classify, index));
  return offMap(graph, node, [...maps, ...written]) ?? classify(graph, node);
}

/** Whether a tensor is a single number, as the scale of a map is that was computed of the map. */
function isNumber(graph: Graph, classify: Classifier, index: number): boolean {
  return classify === elementwise && tensorAt(graph, index).shape?.length === 0;
}

/** Whether some of a node's tensors aren't maps of one image. */
function offMap(graph: Graph, { op }: Node, tensors: readonly number[]): Locality | undefined {
  for (const index of tensors) {
    const shape = index < 0 ? null : tensorAt(graph, index).shape;
    if (shape?.length !== 4) return barrier(`${op} of rank ${shape?.length ?? 'unknown'}, expected 4`);
    if (shape[0] !== 1) return barrier(`${op} of batch ${shape[0]}, expected 1`);
  }
  return undefined;
}

/** Locality of an operator on bytes. All of its operands but the maps must have no space. */
function classifyQuantized(graph: Graph, node: Node, form: QuantizedForm): Locality {
  const maps = node.inputs.filter((_, at) => isMapInput(form, at));
  const broadcasts = form.kind === 'elementwise';
  const off = offMap(graph, node, [...(broadcasts ? [] : maps), ...tensorsWritten(node)]);
  if (off !== undefined) return off;
  const rule = quantizedRule(graph, node, form);
  if (rule.kind === 'barrier') return rule;
  const inputs: (SpatialRule | null)[] = [];
  for (const [at, index] of node.inputs.entries()) {
    const isMap = isMapInput(form, at);
    if (!isMap && index >= 0 && !isWithoutSpace(graph, index))
      return barrier(`${node.op} with computed operand "${tensorAt(graph, index).name}"`);
    inputs.push(isMap ? rule.rule : null);
  }
  if (!broadcasts) return { kind: 'local', inputs };
  const joined = elementwise(graph, { ...node, inputs: maps });
  if (joined.kind === 'barrier') return joined;
  const rules = joined.inputs.values();
  return {
    kind: 'local',
    inputs: inputs.map((input) => (input === null ? null : (rules.next().value ?? null))),
  };
}

/** Whether a tensor is one number for the whole map, as a zero point is that was computed of the map. */
function isWithoutSpace(graph: Graph, index: number): boolean {
  return constantTensors(graph).has(index) || tensorAt(graph, index).shape?.length === 0;
}

type RuleOrBarrier =
  | { readonly kind: 'rule'; readonly rule: SpatialRule }
  | { readonly kind: 'barrier'; readonly reason: string };

/** Rule of the maps of an operator on bytes. */
function quantizedRule(graph: Graph, node: Node, form: QuantizedForm): RuleOrBarrier {
  const barred = (reason: string): RuleOrBarrier => ({ kind: 'barrier', reason });
  if (intAttribute(node, 'channels_last', 0) !== 0) return barred(`${node.op} of channels last`);
  switch (form.kind) {
    case 'concat':
      if (channelAxis(node, 'axis', 1) === undefined)
        return barred(`${node.op} along an axis other than channels`);
      break;
    case 'pointwise':
      if (!isByChannel(graph, node)) return barred(`${node.op} along an axis other than channels`);
      break;
    case 'convolution':
    case 'pool': {
      const weights = inputAt(node, form.weights ?? -1);
      const kernel =
        intsAttribute(node, 'kernel_shape') ??
        (weights < 0 ? undefined : tensorAt(graph, weights).shape?.slice(2));
      return kernel === undefined
        ? barred(`${node.op} without kernel_shape`)
        : { kind: 'rule', rule: windows(node, kernel) };
    }
  }
  return { kind: 'rule', rule: SAME };
}

/** Whether all pixels of a channel have the same scale: there is one scale, or one for each channel. */
function isByChannel(graph: Graph, node: Node): boolean {
  if (intAttribute(node, 'block_size', 0) !== 0) return false;
  const scale = inputAt(node, 1);
  const scales = scale < 0 ? [] : (tensorAt(graph, scale).shape ?? []);
  return scales.every((dim) => dim === 1) || channelAxis(node, 'axis', 1) !== undefined;
}

type Classifier = (graph: Graph, node: Node) => Locality;

function barrier(reason: string): Locality {
  return { kind: 'barrier', reason };
}

function local(rule: SpatialRule, extraInputs = 0): Locality {
  return { kind: 'local', inputs: [rule, ...Array.from({ length: extraInputs }, () => null)] };
}

/** Locality of a node whose first input is the map and whose other inputs must be constants without space. */
function mapAndConstants(graph: Graph, node: Node, rule: SpatialRule): Locality {
  const rest = node.inputs.slice(1);
  const known = constantTensors(graph);
  const computed = rest.find((index) => index >= 0 && !known.has(index));
  if (computed !== undefined) {
    return barrier(`${node.op} with computed operand "${tensorAt(graph, computed).name}"`);
  }
  return local(rule, rest.length);
}

const pointwise: Classifier = (graph, node) => mapAndConstants(graph, node, SAME);

const convolution: Classifier = (graph, node) => {
  const weights = inputAt(node, 1);
  const kernel = weights < 0 ? undefined : tensorAt(graph, weights).shape?.slice(2);
  return kernel === undefined
    ? barrier('Conv without weights')
    : mapAndConstants(graph, node, windows(node, kernel));
};

const transposedConvolution: Classifier = (graph, node) => {
  const rules = transposedWindows(graph, node)?.map(transposedRule);
  if (rules === undefined) return barrier('ConvTranspose to a given size');
  return mapAndConstants(graph, node, { rows: elementAt(rules, 0), cols: elementAt(rules, 1) });
};

const pool: Classifier = (_graph, node) => {
  if (outputAt(node, 1) >= 0) return barrier(`${node.op} with indices of the whole map`);
  const kernel = intsAttribute(node, 'kernel_shape');
  return kernel === undefined ? barrier(`${node.op} without kernel_shape`) : local(windows(node, kernel));
};

function windows(node: Node, kernel: readonly number[]): SpatialRule {
  const rules = windowsOf(node, kernel).map(windowRule);
  return { rows: elementAt(rules, 0), cols: elementAt(rules, 1) };
}

/** Elementwise operators broadcast as numpy does. Every operand must be a whole map or have no space. */
const elementwise: Classifier = (graph, node) => {
  const { shape: shapeOut } = tensorAt(graph, outputAt(node, 0));
  if (shapeOut === null) return barrier(`${node.op} of unknown shape`);
  if (shapeOut.length === 0) return { kind: 'local', inputs: node.inputs.map(() => null) };
  const [rows, cols] = spaceOf(shapeOut);
  const inputs: (SpatialRule | null)[] = [];
  for (const index of node.inputs) {
    const { shape, name, constant } = tensorAt(graph, index);
    if (shape === null) return barrier(`operand "${name}" of unknown shape`);
    const [operandRows, operandCols] = spaceOf(shape);
    const isMap = operandRows === rows && operandCols === cols && (rows > 1 || cols > 1 || constant === null);
    const hasNoSpace = operandRows === 1 && operandCols === 1;
    if (!isMap && !hasNoSpace) return barrier(`operand "${name}" is broadcast along one axis`);
    if (isMap && shape.length !== 4) return barrier(`operand "${name}" of rank ${shape.length}, expected 4`);
    if (isMap && constant !== null) return barrier(`constant "${name}" varies over height or width`);
    inputs.push(isMap ? SAME : null);
  }
  return inputs.includes(SAME) ? { kind: 'local', inputs } : barrier('no operand is a map');
};

/** Height and width of an operand. Numpy aligns shapes at the right, and a missing dimension is 1. */
function spaceOf(shape: readonly number[]): readonly [number, number] {
  return [shape.at(-2) ?? 1, shape.at(-1) ?? 1];
}

const concat: Classifier = (graph, node) => {
  if (channelAxis(node, 'axis', 1) === undefined) return barrier('Concat along an axis other than channels');
  const constant = node.inputs.find((index) => tensorAt(graph, index).constant !== null);
  if (constant !== undefined) return barrier(`constant map "${tensorAt(graph, constant).name}"`);
  return { kind: 'local', inputs: node.inputs.map(() => SAME) };
};

const split: Classifier = (graph, node) =>
  channelAxis(node, 'axis', 0) === undefined
    ? barrier('Split along an axis other than channels')
    : pointwise(graph, node);

/** Axis 1 of a rank-4 tensor, which may be written as -3; undefined for any other axis. */
function channelAxis(node: Node, name: string, fallback: number): 1 | undefined {
  const axis = intAttribute(node, name, fallback);
  return axis === 1 || axis === -3 ? 1 : undefined;
}

const slice: Classifier = (graph, node) => {
  const bounds = sliceBounds(graph, node);
  if (bounds === undefined) return barrier('Slice of computed bounds');
  if (bounds.some(({ axis }) => axis === 0)) return barrier('Slice along the batch');
  const along = (axis: number) => bounds.find((bound) => bound.axis === axis);
  const spatial = [along(2), along(3)];
  if (!spatial.every((bound) => bound === undefined || staysInTile(bound))) {
    return barrier('Slice whose bounds count from the other end of the map');
  }
  const [rows = POINTWISE, cols = POINTWISE] = spatial.map(sliceRule);
  return mapAndConstants(graph, node, { rows, cols });
};

/** Whether bounds mean the same in a tile, which is smaller than the map (slice-bounds.ts). */
function staysInTile({ start, end, step }: SliceBounds): boolean {
  return start >= 0 && step >= 1 && (end < 0 || end >= SLICE_END);
}

function sliceRule(bounds: SliceBounds | undefined): AxisRule {
  if (bounds === undefined) return POINTWISE;
  return { up: 1, stride: bounds.step, pad: 0 - bounds.start, extent: 1, mirror: 0 };
}

/** A Gather of channels. Others change the rank, or take rows. */
const gather: Classifier = (graph, node) =>
  channelAxis(node, 'axis', 0) === undefined
    ? barrier('Gather along an axis other than channels')
    : pointwise(graph, node);

const softmax: Classifier = (graph, node) => {
  const overChannels = onnxOpset(graph) >= 13 && channelAxis(node, 'axis', -1) !== undefined;
  return overChannels ? local(SAME) : barrier(`${node.op} over more than channels`);
};

const batchNormalization: Classifier = (graph, node) =>
  intAttribute(node, 'training_mode', 0) === 0
    ? pointwise(graph, node)
    : barrier('BatchNormalization in training mode');

const spaceToDepth: Classifier = (_graph, node) => {
  const block = intAttribute(node, 'blocksize', 1);
  const rule: AxisRule = { up: 1, stride: block, pad: 0, extent: block, mirror: 0 };
  return local({ rows: rule, cols: rule });
};

const depthToSpace: Classifier = (_graph, node) => {
  const rule: AxisRule = { ...POINTWISE, up: intAttribute(node, 'blocksize', 1) };
  return local({ rows: rule, cols: rule });
};

/** Number of rows that padding depends on, by mode. The mode wrap is missing: it isn't local. */
const MIRRORS: ReadonlyMap<string, (pad: number) => number> = new Map(
  Object.entries<(pad: number) => number>({
    constant: () => 0,
    edge: () => 1,
    reflect: (pad) => Math.max(0, pad) + 1,
  }),
);

const pad: Classifier = (graph, node) => {
  const pads =
    intsAttribute(node, 'pads') ??
    intsAttribute(node, 'paddings') ??
    (inputAt(node, 3) >= 0 ? undefined : constantNumbers(graph, inputAt(node, 1)));
  const mirror = MIRRORS.get(stringAttribute(node, 'mode', 'constant'));
  if (pads?.length !== 8 || mirror === undefined) return barrier('Pad of computed size, by axes or wrapping');
  const rule = (axis: number): AxisRule => {
    const [begin, end] = [elementAt(pads, axis), elementAt(pads, axis + 4)];
    return { ...POINTWISE, pad: begin, mirror: mirror(Math.max(begin, end)) };
  };
  return mapAndConstants(graph, node, { rows: rule(2), cols: rule(3) });
};

const resize: Classifier = (graph, node) => {
  const rule = resizeRule(graph, node);
  return rule.kind === 'barrier' ? rule : local(rule.rule, node.inputs.length - 1);
};

/** Operators of one map whose output pixel depends on the same input pixel, of one channel or of all. */
const POINTWISE_OPERATORS = `
  Relu LeakyRelu Clip Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Mish Elu Selu Celu Gelu
  ThresholdedRelu Abs Neg Exp Log Sqrt Erf Floor Ceil Round Reciprocal Sign Cast Identity Dropout LRN`
  .trim()
  .split(/\s+/);

const ELEMENTWISE_OPERATORS = ['Add', 'Sub', 'Mul', 'Div', 'Min', 'Max', 'Sum', 'Mean', 'Pow', 'PRelu'];

const CLASSIFIERS: ReadonlyMap<string, Classifier> = new Map(
  Object.entries<Classifier>({
    ...Object.fromEntries(POINTWISE_OPERATORS.map((op) => [op, pointwise])),
    ...Object.fromEntries(ELEMENTWISE_OPERATORS.map((op) => [op, elementwise])),
    Conv: convolution,
    ConvTranspose: transposedConvolution,
    MaxPool: pool,
    AveragePool: pool,
    LpPool: pool,
    Concat: concat,
    Split: split,
    Slice: slice,
    Gather: gather,
    Softmax: softmax,
    LogSoftmax: softmax,
    BatchNormalization: batchNormalization,
    SpaceToDepth: spaceToDepth,
    DepthToSpace: depthToSpace,
    Pad: pad,
    Resize: resize,
    Upsample: resize,
  }),
);
