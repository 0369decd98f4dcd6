/**
 * Folds BatchNormalization into the convolution before it: w' = w * k, b' = (b - mean) * k + beta with
 * k = scale / sqrt(variance + epsilon), in float64, rounded once.
 *
 * We fold, and not ONNX Runtime, because its own fusion copies the weights to the heap; folded here they
 * stay mapped from the model's data file. A BatchNormalization after anything else stays as it is: it is
 * spatially local.
 */
import { float32Values, inlineConstant } from './constant-values.js';
import { compactGraph, countReads, producers, TensorList } from './edit-graph.js';
import type { Graph, Node } from './graph.js';
import { floatAttribute, intAttribute, tensorAt } from './graph.js';

/** Expects all constants inline; graph outputs keep their names. */
export function foldBatchNorm(graph: Graph): Graph {
  const reads = countReads(graph);
  const producer = producers(graph);
  const list = new TensorList(graph);
  const replaced = new Map<number, Node>();
  const dropped = new Set<Node>();
  for (const norm of graph.nodes) {
    const at = producer[norm.inputs[0] ?? -1] ?? -1;
    const conv = graph.nodes[at];
    if (conv === undefined || !isFoldable(graph, conv, norm) || reads[norm.inputs[0] ?? -1] !== 1) continue;
    replaced.set(at, foldedConv({ graph, list, conv, norm }));
    dropped.add(norm);
  }
  const nodes = graph.nodes.map((node, at) => replaced.get(at) ?? node).filter((node) => !dropped.has(node));
  return compactGraph({ ...graph, tensors: list.tensors, nodes });
}

function isFoldable(graph: Graph, conv: Node, norm: Node): boolean {
  const constants = [...conv.inputs.slice(1), ...norm.inputs.slice(1)].filter((index) => index >= 0);
  return (
    norm.op === 'BatchNormalization' &&
    norm.domain === '' &&
    conv.op === 'Conv' &&
    conv.domain === '' &&
    intAttribute(norm, 'training_mode', 0) === 0 &&
    norm.outputs.slice(1).every((index) => index < 0) &&
    constants.every((index) => {
      const { constant, dtype } = tensorAt(graph, index);
      return constant?.kind === 'inline' && dtype === 'float32';
    })
  );
}

interface Fold {
  readonly graph: Graph;
  readonly list: TensorList;
  readonly conv: Node;
  readonly norm: Node;
}

function foldedConv({ graph, list, conv, norm }: Fold): Node {
  const values = (index: number | undefined) => {
    const constant = index === undefined || index < 0 ? null : tensorAt(graph, index).constant;
    return constant?.kind === 'inline' ? float32Values(constant.bytes) : undefined;
  };
  const weights = tensorAt(graph, conv.inputs[1] ?? -1);
  const [scale, beta, mean, variance] = norm.inputs.slice(1).map(values);
  const folded = scaleFilters({
    weights: values(conv.inputs[1]) ?? new Float32Array(),
    bias: values(conv.inputs[2]),
    scale: scale ?? new Float32Array(),
    beta: beta ?? new Float32Array(),
    mean: mean ?? new Float32Array(),
    variance: variance ?? new Float32Array(),
    epsilon: floatAttribute(norm, 'epsilon', 1e-5),
  });
  const filters = folded.bias.length;
  const weightsIndex = list.add({ ...weights, constant: inlineConstant(folded.weights) });
  const bias = {
    name: `${weights.name}_bias`,
    dtype: 'float32' as const,
    shape: [filters],
    constant: inlineConstant(folded.bias),
  };
  return { ...conv, inputs: [conv.inputs[0] ?? -1, weightsIndex, list.add(bias)], outputs: [norm.outputs[0] ?? -1] };
}

interface NormParameters {
  readonly weights: Float32Array;
  readonly bias: Float32Array | undefined;
  readonly scale: Float32Array;
  readonly beta: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
  readonly epsilon: number;
}

function scaleFilters(norm: NormParameters): { weights: Float32Array; bias: Float32Array } {
  const filters = norm.scale.length;
  const perFilter = norm.weights.length / filters;
  const weights = new Float32Array(norm.weights.length);
  const bias = new Float32Array(filters);
  for (let filter = 0; filter < filters; filter += 1) {
    const factor = (norm.scale[filter] ?? 1) / Math.sqrt((norm.variance[filter] ?? 1) + norm.epsilon);
    const start = filter * perFilter;
    for (let at = start; at < start + perFilter; at += 1) weights[at] = (norm.weights[at] ?? 0) * factor;
    bias[filter] = ((norm.bias?.[filter] ?? 0) - (norm.mean[filter] ?? 0)) * factor + (norm.beta[filter] ?? 0);
  }
  return { weights, bias };
}
