/**
 * Folds what scales and shifts each channel by constants (BatchNormalization, Mul, Div, Add, Sub) into the
 * convolution before it: y = k * conv(x) + d becomes w' = w * k, b' = b * k + d, in float64, rounded once.
 *
 * We fold, and not ONNX Runtime, for two reasons: its own fusions copy the weights to the heap, folded here
 * they stay mapped from the model's data file; and its fusions end at a cut, so that a cut plan would round
 * differently from an untiled one. The same after anything else stays as it is: it is spatially local.
 */
import { float32Values, inlineConstant } from './constant-values.js';
import { compactGraph, countReads, producers, TensorList } from './edit-graph.js';
import type { Graph, Node } from './graph.js';
import { floatAttribute, intAttribute, tensorAt } from './graph.js';

/** Expects all constants inline; outputs keep their names. */
export function foldChannelAffine(graph: Graph): Graph {
  let folded = graph;
  for (let next = foldOnce(folded); next !== folded; next = foldOnce(folded)) folded = next;
  return folded;
}

/** Folds one operator into each convolution; the same graph if there is nothing left to fold. */
function foldOnce(graph: Graph): Graph {
  const reads = countReads(graph);
  const producer = producers(graph);
  const list = new TensorList(graph);
  const replaced = new Map<Node, Node>();
  const dropped = new Set<Node>();
  for (const node of graph.nodes) {
    const map = mapInput(graph, node);
    const conv = graph.nodes[producer[map] ?? -1];
    if (conv === undefined || replaced.has(conv) || reads[map] !== 1 || !isFoldableConv(graph, conv))
      continue;
    const affine = affineOf(graph, { node, map, filters: filtersOf(graph, conv) });
    if (affine === undefined) continue;
    replaced.set(conv, foldedConv({ graph, list, conv, affine, output: node.outputs[0] ?? -1 }));
    dropped.add(node);
  }
  if (dropped.size === 0) return graph;
  const nodes = graph.nodes.filter((node) => !dropped.has(node)).map((node) => replaced.get(node) ?? node);
  return compactGraph({ ...graph, tensors: list.tensors, nodes });
}

/** The computed operand of an operator whose other operands are constants; -1 if there isn't just one. */
function mapInput(graph: Graph, node: Node): number {
  const computed = node.inputs.filter((index) => index >= 0 && tensorAt(graph, index).constant === null);
  return computed.length === 1 && node.captures.length === 0 ? (computed[0] ?? -1) : -1;
}

function isFoldableConv(graph: Graph, conv: Node): boolean {
  return (
    conv.op === 'Conv' &&
    tensorAt(graph, conv.inputs[1] ?? -1).shape?.length === 4 &&
    conv.domain === '' &&
    conv.inputs.slice(1).every((index) => index < 0 || constantValues(graph, index) !== undefined)
  );
}

function filtersOf(graph: Graph, conv: Node): number {
  return tensorAt(graph, conv.inputs[1] ?? -1).shape?.[0] ?? 0;
}

/** Values of an inline float32 constant. */
function constantValues(graph: Graph, index: number | undefined): Float32Array | undefined {
  if (index === undefined || index < 0) return undefined;
  const { constant, dtype } = tensorAt(graph, index);
  return constant?.kind === 'inline' && dtype === 'float32' ? float32Values(constant.bytes) : undefined;
}

/** y = factor * x + shift, by channel. */
interface Affine {
  readonly factor: (channel: number) => number;
  readonly shift: (channel: number) => number;
}

interface Operation {
  readonly node: Node;
  readonly map: number;
  readonly filters: number;
}

function affineOf(graph: Graph, { node, map, filters }: Operation): Affine | undefined {
  if (node.domain !== '') return undefined;
  if (node.op === 'BatchNormalization') return normalizationOf(graph, node);
  const isFirst = node.inputs[0] === map;
  const other = node.inputs[isFirst ? 1 : 0] ?? -1;
  const operand = channelOperand(graph, other, filters);
  if (operand === undefined || node.inputs.length !== 2) return undefined;
  switch (node.op) {
    case 'Mul':
      return { factor: operand, shift: () => 0 };
    case 'Div':
      return isFirst ? { factor: (channel) => 1 / operand(channel), shift: () => 0 } : undefined;
    case 'Add':
      return { factor: () => 1, shift: operand };
    case 'Sub':
      return isFirst
        ? { factor: () => 1, shift: (channel) => -operand(channel) }
        : { factor: () => -1, shift: operand };
    default:
      return undefined;
  }
}

/** k = scale / sqrt(variance + epsilon), d = beta - mean * k. Source: onnx/docs/Operators.md, BatchNormalization. */
function normalizationOf(graph: Graph, node: Node): Affine | undefined {
  const [scale, beta, mean, variance] = node.inputs.slice(1).map((index) => constantValues(graph, index));
  const trains =
    intAttribute(node, 'training_mode', 0) !== 0 || node.outputs.slice(1).some((index) => index >= 0);
  if (scale === undefined || beta === undefined || mean === undefined || variance === undefined || trains)
    return undefined;
  const epsilon = floatAttribute(node, 'epsilon', 1e-5);
  const factor = (channel: number) => at(scale, channel) / Math.sqrt(at(variance, channel) + epsilon);
  return { factor, shift: (channel) => at(beta, channel) - at(mean, channel) * factor(channel) };
}

/** A constant that has one value for all channels or one for each: [], [1], [C, 1, 1], [1, C, 1, 1]. */
function channelOperand(graph: Graph, index: number, filters: number): Affine['factor'] | undefined {
  const values = constantValues(graph, index);
  const shape = index < 0 ? null : tensorAt(graph, index).shape;
  if (values === undefined || shape === null || shape.length > 4) return undefined;
  if (values.length === 1) return () => at(values, 0);
  const isPerChannel = values.length === filters && shape.at(-3) === filters;
  return isPerChannel ? (channel) => at(values, channel) : undefined;
}

function at(values: Float32Array, index: number): number {
  return values[index] ?? 0;
}

interface Fold {
  readonly graph: Graph;
  readonly list: TensorList;
  readonly conv: Node;
  readonly affine: Affine;
  readonly output: number;
}

function foldedConv({ graph, list, conv, affine, output }: Fold): Node {
  const [map = -1, weightsIndex = -1, biasIndex] = conv.inputs;
  const stored = tensorAt(graph, weightsIndex);
  const weights = Float32Array.from(constantValues(graph, weightsIndex) ?? []);
  const given = constantValues(graph, biasIndex);
  const filters = filtersOf(graph, conv);
  const perFilter = weights.length / filters;
  const bias = new Float32Array(filters);
  for (let filter = 0; filter < filters; filter += 1) {
    const factor = affine.factor(filter);
    const start = filter * perFilter;
    for (let index = start; index < start + perFilter; index += 1)
      weights[index] = at(weights, index) * factor;
    bias[filter] = (given === undefined ? 0 : at(given, filter)) * factor + affine.shift(filter);
  }
  const foldedWeights = list.add({ ...stored, constant: inlineConstant(weights) });
  const foldedBias = list.add({
    name: `${stored.name}_bias`,
    dtype: 'float32',
    shape: [filters],
    constant: inlineConstant(bias),
  });
  return { ...conv, inputs: [map, foldedWeights, foldedBias], outputs: [output] };
}
