/**
 * Folds operators that scale and shift each channel by constants into the convolution before them. They are
 * BatchNormalization, Mul, Div, Add and Sub. y = k * conv(x) + d becomes w' = w * k and b' = b * k + d. The products
 * are computed in float64 and rounded once.
 *
 * ONNX Runtime could fuse them too, but mafat folds them for two reasons:
 * 1. ONNX Runtime's fusions copy the weights to the heap. Weights folded here stay mapped from the data file.
 * 2. Its fusions end at a cut, so a plan with cuts would round differently from the untiled network.
 *
 * Such an operator after anything but a convolution stays in the graph, where it is spatially local.
 */
import { float32Values, inlineConstant, scaleValues } from './constant-values.js';
import { compactGraph, countReads, producers, TensorList } from './edit-graph.js';
import type { Graph, Node } from './graph.js';
import { floatAttribute, inputAt, intAttribute, knownShape, outputAt, tensorAt } from './graph.js';
import { elementAt, present } from './lookup.js';

/** Folds until nothing is left to fold. Expects inline constants; the graph's outputs keep their names. */
export function foldChannelAffine(graph: Graph): Graph {
  let folded = graph;
  for (let next = foldOnce(folded); next !== folded; next = foldOnce(folded)) folded = next;
  return folded;
}

/** Folds one operator into each convolution. Returns the same graph if there is nothing left to fold. */
function foldOnce(graph: Graph): Graph {
  const reads = countReads(graph);
  const producer = producers(graph);
  const list = new TensorList(graph);
  const replaced = new Map<Node, Node>();
  const dropped = new Set<Node>();
  for (const node of graph.nodes) {
    const map = mapInput(graph, node);
    if (map === undefined || reads[map] !== 1) continue;
    const conv = graph.nodes[elementAt(producer, map)];
    if (conv === undefined || replaced.has(conv) || !isFoldableConv(graph, conv)) continue;
    const affine = affineOf(graph, { node, map, filters: filtersOf(graph, conv) });
    if (affine === undefined) continue;
    replaced.set(conv, foldedConv({ graph, list, conv, affine, output: outputAt(node, 0) }));
    dropped.add(node);
  }
  if (dropped.size === 0) return graph;
  const nodes = graph.nodes.filter((node) => !dropped.has(node)).map((node) => replaced.get(node) ?? node);
  return compactGraph({ ...graph, tensors: list.tensors, nodes });
}

/** The only computed operand of an operator, or undefined if it has none, several or captures. */
function mapInput(graph: Graph, node: Node): number | undefined {
  const computed = node.inputs.filter((index) => index >= 0 && tensorAt(graph, index).constant === null);
  return computed.length === 1 && node.captures.length === 0 ? computed[0] : undefined;
}

/** ONNX Runtime hasn't checked the graph yet, so constants of a wrong length must be left for it to refuse. */
function isFoldableConv(graph: Graph, conv: Node): boolean {
  if (conv.op !== 'Conv' || conv.domain !== '') return false;
  const [weights, bias] = [inputAt(conv, 1), inputAt(conv, 2)];
  if (tensorAt(graph, weights).shape?.length !== 4 || constantValues(graph, weights) === undefined)
    return false;
  return bias < 0 || constantValues(graph, bias)?.length === filtersOf(graph, conv);
}

function filtersOf(graph: Graph, conv: Node): number {
  return elementAt(knownShape(tensorAt(graph, inputAt(conv, 1))), 0);
}

/** Values of an inline float32 constant, or undefined for any other tensor. */
function constantValues(graph: Graph, index: number | undefined): Float32Array | undefined {
  if (index === undefined || index < 0) return undefined;
  const { constant, dtype } = tensorAt(graph, index);
  return constant?.kind === 'inline' && dtype === 'float32' ? float32Values(constant.bytes) : undefined;
}

/** Factor and shift of each channel: y = factor * x + shift. */
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
  if (node.op === 'BatchNormalization') return normalizationOf(graph, { node, filters });
  const isFirst = node.inputs[0] === map;
  const other = inputAt(node, isFirst ? 1 : 0);
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
function normalizationOf(
  graph: Graph,
  { node, filters }: Pick<Operation, 'node' | 'filters'>,
): Affine | undefined {
  const parameters = node.inputs.slice(1).map((index) => constantValues(graph, index));
  const [scale, beta, mean, variance] = parameters;
  const trains =
    intAttribute(node, 'training_mode', 0) !== 0 || node.outputs.slice(1).some((index) => index >= 0);
  if (scale === undefined || beta === undefined || mean === undefined || variance === undefined || trains)
    return undefined;
  if (parameters.some((values) => values?.length !== filters)) return undefined;
  const epsilon = floatAttribute(node, 'epsilon', 1e-5);
  const factor = (channel: number) =>
    elementAt(scale, channel) / Math.sqrt(elementAt(variance, channel) + epsilon);
  return {
    factor,
    shift: (channel) => elementAt(beta, channel) - elementAt(mean, channel) * factor(channel),
  };
}

/** Values of a constant of shape [] or [1], which all channels share, or of [C, 1, 1] or [1, C, 1, 1]. */
function channelOperand(graph: Graph, index: number, filters: number): Affine['factor'] | undefined {
  const values = constantValues(graph, index);
  const shape = index < 0 ? null : tensorAt(graph, index).shape;
  if (values === undefined || shape === null || shape.length > 4) return undefined;
  if (values.length === 1) return () => elementAt(values, 0);
  const isPerChannel = values.length === filters && shape.at(-3) === filters;
  return isPerChannel ? (channel) => elementAt(values, channel) : undefined;
}

interface Fold {
  readonly graph: Graph;
  readonly list: TensorList;
  readonly conv: Node;
  readonly affine: Affine;
  readonly output: number;
}

function foldedConv({ graph, list, conv, affine, output }: Fold): Node {
  const weightsIndex = inputAt(conv, 1);
  const stored = tensorAt(graph, weightsIndex);
  const weights = Float32Array.from(
    present(constantValues(graph, weightsIndex), 'weights of the convolution'),
  );
  const given = constantValues(graph, inputAt(conv, 2));
  const filters = filtersOf(graph, conv);
  const perFilter = weights.length / filters;
  const bias = new Float32Array(filters);
  for (let filter = 0; filter < filters; filter += 1) {
    const factor = affine.factor(filter);
    scaleValues(weights.subarray(filter * perFilter, (filter + 1) * perFilter), factor);
    bias[filter] = (given === undefined ? 0 : elementAt(given, filter)) * factor + affine.shift(filter);
  }
  const foldedWeights = list.add({ ...stored, constant: inlineConstant(weights) });
  const foldedBias = list.add({
    name: `${stored.name}_bias`,
    dtype: 'float32',
    shape: [filters],
    constant: inlineConstant(bias),
  });
  return { ...conv, inputs: [inputAt(conv, 0), foldedWeights, foldedBias], outputs: [output] };
}
