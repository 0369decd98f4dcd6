/** Passes that make a network's geometry explicit and don't change its result. */
import { kernelExtent, windowRowsOut } from './axis-rule.js';
import { constantNumbers, inlineConstant } from './constant-values.js';
import { compactGraph, countReads, producers, redirectReads, TensorList } from './edit-graph.js';
import type { Attribute, Graph, Node } from './graph.js';
import {
  floatAttribute,
  inputAt,
  intAttribute,
  intsAttribute,
  knownShape,
  outputAt,
  stringAttribute,
  tensorAt,
} from './graph.js';
import { elementAt, present } from './lookup.js';
import { quantizedForm, weightsInput } from './quantized.js';
import { explicitSlice } from './slice-bounds.js';
import { explicitTransposedPads } from './transposed-window.js';
import { varyingTensors } from './varying-shapes.js';
import { windowsOf } from './window-attributes.js';

/** Removes Identity and Dropout in inference mode, unless the node gives a named tensor. */
export function removeIdentities(graph: Graph): Graph {
  // Subgraphs and callers refer to captured tensors and graph outputs by name, so these must stay.
  const named = new Set([...graph.outputs, ...graph.nodes.flatMap(({ captures }) => captures)]);
  const removed = graph.nodes.filter((node) => isIdentity(graph, node) && !named.has(outputAt(node, 0)));
  const redirects = new Map(removed.map((node) => [outputAt(node, 0), inputAt(node, 0)]));
  const kept = graph.nodes.filter((node) => !removed.includes(node));
  return compactGraph({ ...graph, nodes: redirectReads(kept, redirects) });
}

function isIdentity(graph: Graph, node: Node): boolean {
  if (node.domain !== '') return false;
  const trains = inputAt(node, 2);
  const isInference = trains < 0 || constantNumbers(graph, trains)?.[0] === 0;
  return node.op === 'Identity' || (node.op === 'Dropout' && outputAt(node, 1) < 0 && isInference);
}

/**
 * Folds zero padding of height and width into the convolution that is its only reader, which saves a copy of
 * the map. TensorFlow's exporters write such a Pad before a convolution of stride 2.
 */
export function foldPads(graph: Graph): Graph {
  const reads = countReads(graph);
  const producer = producers(graph);
  const nodes = graph.nodes.map((node) => {
    const map = inputAt(node, 0);
    if (reads[map] !== 1 || !isConvOfExplicitPads(node)) return node;
    const pad = graph.nodes[elementAt(producer, map)];
    const padding = pad === undefined ? undefined : zeroPadding(graph, pad);
    if (pad === undefined || padding === undefined) return node;
    const own = intsAttribute(node, 'pads') ?? [0, 0, 0, 0];
    const pads: Attribute = { kind: 'ints', value: own.map((value, at) => value + elementAt(padding, at)) };
    return {
      ...node,
      inputs: [inputAt(pad, 0), ...node.inputs.slice(1)],
      attributes: { ...node.attributes, pads },
    };
  });
  return compactGraph({ ...graph, nodes });
}

function isConvOfExplicitPads(node: Node): boolean {
  const mode = stringAttribute(node, 'auto_pad', 'NOTSET');
  return node.op === 'Conv' && node.domain === '' && mode === 'NOTSET';
}

/** [top, left, bottom, right] of a Pad that adds zeros to height and width alone; undefined for any other node. */
function zeroPadding(graph: Graph, pad: Node): readonly number[] | undefined {
  if (pad.op !== 'Pad' || pad.domain !== '' || stringAttribute(pad, 'mode', 'constant') !== 'constant')
    return undefined;
  const pads = intsAttribute(pad, 'pads') ?? constantNumbers(graph, inputAt(pad, 1));
  const given = inputAt(pad, 2);
  const value = given < 0 ? floatAttribute(pad, 'value', 0) : constantNumbers(graph, given)?.[0];
  if (pads?.length !== 8 || value !== 0 || inputAt(pad, 3) >= 0) return undefined;
  // Axes are batch, channels, height and width; all begins come before all ends.
  const others = [0, 1, 4, 5].map((at) => elementAt(pads, at));
  const spatial = [2, 3, 6, 7].map((at) => elementAt(pads, at));
  return others.every((size) => size === 0) && spatial.every((size) => size >= 0) ? spatial : undefined;
}

const POOLS = new Set(['MaxPool', 'AveragePool', 'LpPool']);

/**
 * Switches the ceil mode of a pool off if its last window would start in the end padding. ONNX Runtime's kernels
 * drop such a window, but its shape inference counts it. Shapes after such a pool must be inferred again.
 * Returns the same graph if it has no such pool.
 */
export function dropCeilModes(graph: Graph): Graph {
  let changed = false;
  const nodes = graph.nodes.map((node) => {
    if (isVarying(graph, node) || !dropsWindow(graph, node)) return node;
    changed = true;
    return { ...node, attributes: { ...node.attributes, ceil_mode: { kind: 'int', value: 0 } as const } };
  });
  return changed ? { ...graph, nodes } : graph;
}

function dropsWindow(graph: Graph, node: Node): boolean {
  if (!POOLS.has(node.op) || node.domain !== '' || intAttribute(node, 'ceil_mode', 0) === 0) return false;
  const { shape } = tensorAt(graph, inputAt(node, 0));
  const kernel = intsAttribute(node, 'kernel_shape');
  if (shape === null || kernel === undefined) return false;
  return windowsOf(node, kernel).some((window, axis) => {
    const rows = elementAt(shape, axis + 2);
    const span = rows + window.padBegin + window.padEnd - kernelExtent(window);
    return windowRowsOut(rows, { ...window, ceil: true }) < Math.ceil(span / window.stride) + 1;
  });
}

/**
 * Makes padding and scaling independent of the map's size at run time, since a tile is smaller than the map.
 * auto_pad becomes pads, Resize by sizes becomes Resize by scales, and a Slice counts from the ends that it stays near
 * to. Expects known shapes.
 */
export function makeGeometryExplicit(graph: Graph): Graph {
  const list = new TensorList(graph);
  const nodes = graph.nodes.map((node) => {
    if (isVarying(graph, node)) return node;
    const padded = explicitTransposedPads(graph, explicitPads(graph, node));
    return explicitSlice({ graph, list, node: explicitScales({ graph, list, node: padded }) });
  });
  return compactGraph({ ...graph, tensors: list.tensors, nodes });
}

const PADDED_OPERATORS = new Set(['Conv', 'MaxPool', 'AveragePool', 'LpPool']);

/** Whether a node pads its map by its attributes. */
function isPadded(node: Node): boolean {
  const kind = quantizedForm(node)?.kind;
  return (node.domain === '' && PADDED_OPERATORS.has(node.op)) || kind === 'convolution' || kind === 'pool';
}

function explicitPads(graph: Graph, node: Node): Node {
  const mode = stringAttribute(node, 'auto_pad', 'NOTSET');
  if (!isPadded(node) || mode === 'NOTSET') return node;
  const { auto_pad: _, ...attributes } = node.attributes;
  const rowsIn = knownShape(tensorAt(graph, inputAt(node, 0))).slice(2);
  const pads: Attribute = { kind: 'ints', value: automaticPads({ graph, node, rowsIn, mode }) };
  return { ...node, attributes: { ...attributes, pads } };
}

interface AutomaticPads {
  readonly graph: Graph;
  readonly node: Node;
  readonly rowsIn: readonly number[];
  readonly mode: string;
}

/**
 * Pads as [begin of each axis, end of each axis].
 * Source: onnx/docs/Operators.md, Conv, auto_pad.
 */
function automaticPads({ graph, node, rowsIn, mode }: AutomaticPads): readonly number[] {
  if (mode === 'VALID') return [...rowsIn, ...rowsIn].map(() => 0);
  const kernel = intsAttribute(node, 'kernel_shape') ?? tensorAt(graph, weightsInput(node)).shape?.slice(2);
  const windows = windowsOf(node, present(kernel, `kernel shape of node "${node.name}"`));
  const totals = rowsIn.map((rows, axis) => {
    const window = elementAt(windows, axis);
    const { stride } = window;
    return Math.max(0, (Math.ceil(rows / stride) - 1) * stride + kernelExtent(window) - rows);
  });
  const smaller = totals.map((total) => Math.floor(total / 2));
  const larger = totals.map((total) => Math.ceil(total / 2));
  return mode === 'SAME_LOWER' ? [...larger, ...smaller] : [...smaller, ...larger];
}

/** Whether the map of a node has another shape for another image. */
function isVarying(graph: Graph, node: Node): boolean {
  return varyingTensors(graph).has(inputAt(node, 0));
}

interface ResizeEdit {
  readonly graph: Graph;
  readonly list: TensorList;
  readonly node: Node;
}

/** Rewrites a Resize by whole factors. A Resize by other factors stays as it is and is a barrier. */
function explicitScales({ graph, list, node }: ResizeEdit): Node {
  const sizes = constantNumbers(graph, inputAt(node, 3));
  if (node.op !== 'Resize' || node.domain !== '' || sizes === undefined || sizes.length !== 4) return node;
  if (intsAttribute(node, 'axes') !== undefined || intAttribute(node, 'antialias', 0) !== 0) return node;
  if (stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch') return node;
  const rowsIn = knownShape(tensorAt(graph, inputAt(node, 0)));
  const scales = sizes.map((size, axis) => size / elementAt(rowsIn, axis));
  if (!scales.every(Number.isInteger)) return node;
  const constant = inlineConstant(Float32Array.from(scales));
  const index = list.add({ name: `${node.name}_scales`, dtype: 'float32', shape: [4], constant });
  const { keep_aspect_ratio_policy: _, ...attributes } = node.attributes;
  return { ...node, attributes, inputs: [inputAt(node, 0), inputAt(node, 1), index] };
}
