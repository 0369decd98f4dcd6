/** Passes that leave the result of the network as it is and make its geometry explicit. */
import { kernelExtent, windowRowsOut } from './axis-rule.js';
import { constantNumbers, inlineConstant } from './constant-values.js';
import { compactGraph, countReads, producers, redirectReads, TensorList } from './edit-graph.js';
import type { Attribute, Graph, Node } from './graph.js';
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  knownShape,
  stringAttribute,
  tensorAt,
} from './graph.js';

/** Removes Identity and inference-mode Dropout; those that name a graph output stay. */
export function removeIdentities(graph: Graph): Graph {
  // Subgraphs name what they capture, and outputs are asked for by name: these keep their names.
  const named = new Set([...graph.outputs, ...graph.nodes.flatMap(({ captures }) => captures)]);
  const removed = graph.nodes.filter((node) => isIdentity(graph, node) && !named.has(node.outputs[0] ?? -1));
  const redirects = new Map(removed.map((node) => [node.outputs[0] ?? -1, node.inputs[0] ?? -1]));
  const kept = graph.nodes.filter((node) => !removed.includes(node));
  return compactGraph({ ...graph, nodes: redirectReads(kept, redirects) });
}

function isIdentity(graph: Graph, node: Node): boolean {
  if (node.domain !== '') return false;
  const trains = node.inputs[2] ?? -1;
  const isInference = trains < 0 || constantNumbers(graph, trains)?.[0] === 0;
  return node.op === 'Identity' || (node.op === 'Dropout' && (node.outputs[1] ?? -1) < 0 && isInference);
}

/**
 * Folds zero padding of height and width into the convolution that is its only reader: a copy of the map
 * less. Exporters of TensorFlow write it so for stride 2.
 */
export function foldPads(graph: Graph): Graph {
  const reads = countReads(graph);
  const producer = producers(graph);
  const nodes = graph.nodes.map((node) => {
    const map = node.inputs[0] ?? -1;
    const pad = graph.nodes[producer[map] ?? -1];
    const padding = pad === undefined || reads[map] !== 1 ? undefined : zeroPadding(graph, pad);
    const isConv =
      node.op === 'Conv' && node.domain === '' && stringAttribute(node, 'auto_pad', 'NOTSET') === 'NOTSET';
    if (pad === undefined || padding === undefined || !isConv) return node;
    const own = intsAttribute(node, 'pads') ?? [0, 0, 0, 0];
    const pads: Attribute = { kind: 'ints', value: own.map((value, at) => value + (padding[at] ?? 0)) };
    return {
      ...node,
      inputs: [pad.inputs[0] ?? -1, ...node.inputs.slice(1)],
      attributes: { ...node.attributes, pads },
    };
  });
  return compactGraph({ ...graph, nodes });
}

/** [top, left, bottom, right] of a Pad with zeros of height and width alone; undefined for any other node. */
function zeroPadding(graph: Graph, pad: Node): readonly number[] | undefined {
  if (pad.op !== 'Pad' || pad.domain !== '' || stringAttribute(pad, 'mode', 'constant') !== 'constant')
    return undefined;
  const pads = intsAttribute(pad, 'pads') ?? constantNumbers(graph, pad.inputs[1]);
  const given = pad.inputs[2] ?? -1;
  const value = given < 0 ? floatAttribute(pad, 'value', 0) : constantNumbers(graph, given)?.[0];
  if (pads?.length !== 8 || value !== 0 || (pad.inputs[3] ?? -1) >= 0) return undefined;
  const [batch, channels, top = 0, left = 0, batchEnd, channelsEnd, bottom = 0, right = 0] = pads;
  const others = [batch, channels, batchEnd, channelsEnd];
  const spatial = [top, left, bottom, right];
  return others.every((size) => size === 0) && spatial.every((size) => size >= 0) ? spatial : undefined;
}

const POOLS = new Set(['MaxPool', 'AveragePool', 'LpPool']);

/**
 * Switches ceil mode off where it changes nothing: a last window that would start in the end padding is
 * dropped. ONNX Runtime's kernels drop it, its shape inference doesn't, so shapes behind such a pool must be
 * inferred again. Returns the same graph if there is none.
 */
export function dropCeilModes(graph: Graph): Graph {
  let changed = false;
  const nodes = graph.nodes.map((node) => {
    if (!dropsWindow(graph, node)) return node;
    changed = true;
    return { ...node, attributes: { ...node.attributes, ceil_mode: { kind: 'int', value: 0 } as const } };
  });
  return changed ? { ...graph, nodes } : graph;
}

function dropsWindow(graph: Graph, node: Node): boolean {
  if (!POOLS.has(node.op) || node.domain !== '' || intAttribute(node, 'ceil_mode', 0) === 0) return false;
  const rowsIn = tensorAt(graph, node.inputs[0] ?? -1).shape?.slice(2) ?? [];
  const kernel = intsAttribute(node, 'kernel_shape') ?? [];
  const pads = intsAttribute(node, 'pads') ?? [];
  return rowsIn.some((rows, axis) => {
    const window = {
      kernel: kernel[axis] ?? 1,
      stride: intsAttribute(node, 'strides')?.[axis] ?? 1,
      dilation: intsAttribute(node, 'dilations')?.[axis] ?? 1,
      padBegin: pads[axis] ?? 0,
      padEnd: pads[axis + rowsIn.length] ?? 0,
    };
    const span = rows + window.padBegin + window.padEnd - kernelExtent(window);
    return windowRowsOut(rows, { ...window, ceil: true }) < Math.ceil(span / window.stride) + 1;
  });
}

/**
 * Makes padding and scaling independent of the size of the map at run time, which differs between a tile
 * and the whole map: auto_pad becomes pads, Resize by sizes becomes Resize by scales.
 *
 * Expects known shapes.
 */
export function makeGeometryExplicit(graph: Graph): Graph {
  const list = new TensorList(graph);
  const nodes = graph.nodes.map((node) => explicitScales({ graph, list, node: explicitPads(graph, node) }));
  return compactGraph({ ...graph, tensors: list.tensors, nodes });
}

const PADDED_OPERATORS = new Set(['Conv', 'MaxPool', 'AveragePool', 'LpPool']);

function explicitPads(graph: Graph, node: Node): Node {
  const mode = stringAttribute(node, 'auto_pad', 'NOTSET');
  if (!PADDED_OPERATORS.has(node.op) || node.domain !== '' || mode === 'NOTSET') return node;
  const { auto_pad: _, ...attributes } = node.attributes;
  const rowsIn = knownShape(tensorAt(graph, node.inputs[0] ?? -1)).slice(2);
  const pads: Attribute = { kind: 'ints', value: automaticPads({ graph, node, rowsIn, mode }) };
  return { ...node, attributes: { ...attributes, pads } };
}

interface AutomaticPads {
  readonly graph: Graph;
  readonly node: Node;
  readonly rowsIn: readonly number[];
  readonly mode: string;
}

/** Pads as [begin of each axis, end of each axis]. Source: onnx/docs/Operators.md, Conv, auto_pad. */
function automaticPads({ graph, node, rowsIn, mode }: AutomaticPads): readonly number[] {
  const kernel = intsAttribute(node, 'kernel_shape') ?? tensorAt(graph, node.inputs[1] ?? -1).shape?.slice(2);
  const strides = intsAttribute(node, 'strides');
  const dilations = intsAttribute(node, 'dilations');
  const totals = rowsIn.map((rows, axis) => {
    if (mode === 'VALID') return 0;
    const stride = strides?.[axis] ?? 1;
    const extent = kernelExtent({ kernel: kernel?.[axis] ?? 1, dilation: dilations?.[axis] ?? 1 });
    return Math.max(0, (Math.ceil(rows / stride) - 1) * stride + extent - rows);
  });
  const smaller = totals.map((total) => Math.floor(total / 2));
  const larger = totals.map((total) => Math.ceil(total / 2));
  return mode === 'SAME_LOWER' ? [...larger, ...smaller] : [...smaller, ...larger];
}

interface ResizeEdit {
  readonly graph: Graph;
  readonly list: TensorList;
  readonly node: Node;
}

/** Only whole factors are rewritten: for others the resize stays as it is and is a barrier. */
function explicitScales({ graph, list, node }: ResizeEdit): Node {
  const sizes = constantNumbers(graph, node.inputs[3]);
  if (node.op !== 'Resize' || node.domain !== '' || sizes === undefined || sizes.length !== 4) return node;
  if (intsAttribute(node, 'axes') !== undefined || intAttribute(node, 'antialias', 0) !== 0) return node;
  if (stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch') return node;
  const rowsIn = knownShape(tensorAt(graph, node.inputs[0] ?? -1));
  const scales = sizes.map((size, axis) => size / (rowsIn[axis] ?? size));
  if (!scales.every(Number.isInteger)) return node;
  const constant = inlineConstant(Float32Array.from(scales));
  const index = list.add({ name: `${node.name}_scales`, dtype: 'float32', shape: [4], constant });
  const { keep_aspect_ratio_policy: _, ...attributes } = node.attributes;
  return { ...node, attributes, inputs: [node.inputs[0] ?? -1, node.inputs[1] ?? -1, index] };
}
