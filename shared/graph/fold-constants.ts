/**
 * Constant folding. This file selects what can be folded and puts the values in place. ONNX Runtime computes
 * the values (`agent/engine`), since only it knows exactly what an operator gives.
 *
 * Exported networks compute shapes in the graph (Shape, Gather, Concat, Reshape). Once the input size is known
 * these are constants. Resize is local and plans are static only if shapes are constants.
 */
import { inlineConstant } from './constant-values.js';
import { compactGraph, TensorList } from './edit-graph.js';
import type { DataType, Graph, Node, Tensor } from './graph.js';
import {
  elementCount,
  inputAt,
  intAttribute,
  outputAt,
  tensorAt,
  tensorsRead,
  tensorsWritten,
} from './graph.js';
import { elementAt } from './lookup.js';
import { varyingTensors } from './varying-shapes.js';

/** Operators that aren't folded: they give random values or turn small stored weights into large ones. */
const KEPT_OPERATORS = new Set(
  `
  RandomNormal RandomNormalLike RandomUniform RandomUniformLike Multinomial Bernoulli DequantizeLinear
  ConstantOfShape Expand Tile`
    .trim()
    .split(/\s+/),
);

export interface TensorValue {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Replaces the results of Shape and Size by constants if the shape is known, and the same for all inputs. */
export function foldShapes(graph: Graph): Graph {
  const list = new TensorList(graph);
  const nodes = graph.nodes.filter((node) => {
    const values = shapeValues(graph, node);
    const output = outputAt(node, 0);
    if (values === undefined || graph.outputs.includes(output)) return true;
    const constant = inlineConstant(BigInt64Array.from(values.value.map(BigInt)));
    list.tensors[output] = { ...tensorAt(graph, output), dtype: 'int64', shape: values.shape, constant };
    return false;
  });
  return { ...graph, tensors: list.tensors, nodes };
}

interface ShapeValues {
  readonly value: readonly number[];
  readonly shape: readonly number[];
}

function shapeValues(graph: Graph, node: Node): ShapeValues | undefined {
  if (node.domain !== '' || (node.op !== 'Shape' && node.op !== 'Size')) return undefined;
  const { shape } = tensorAt(graph, inputAt(node, 0));
  if (varyingTensors(graph).has(inputAt(node, 0))) return undefined;
  if (shape === null || shape.some((dim) => dim < 0)) return undefined;
  if (node.op === 'Size') return { value: [elementCount(shape)], shape: [] };
  const value = shape.slice(intAttribute(node, 'start', 0), intAttribute(node, 'end', shape.length));
  return { value, shape: [value.length] };
}

/**
 * The part of a graph that depends on constants alone, as a graph without inputs, or null if there is none.
 * Its outputs are the values that the rest of the graph reads. Tensors keep their names.
 */
export function selectFoldable(graph: Graph): Graph | null {
  const constant = new Set(
    graph.tensors.flatMap((tensor, index) => (tensor.constant === null ? [] : [index])),
  );
  const folded: Node[] = [];
  for (const node of graph.nodes) {
    if (KEPT_OPERATORS.has(node.op) || !tensorsRead(node).every((index) => constant.has(index))) continue;
    for (const index of tensorsWritten(node)) constant.add(index);
    folded.push(node);
  }
  if (folded.length === 0) return null;
  const computed = new Set(folded.flatMap(tensorsWritten));
  const rest = graph.nodes.filter((node) => !folded.includes(node)).flatMap(tensorsRead);
  const outputs = [...new Set([...rest, ...graph.outputs])].filter((index) => computed.has(index));
  return compactGraph({ ...graph, nodes: folded, inputs: [], outputs });
}

/** Replaces nodes by the values that were computed for their outputs. */
export function applyFolded(graph: Graph, values: ReadonlyMap<string, TensorValue>): Graph {
  const tensors: readonly Tensor[] = graph.tensors.map((tensor) => {
    const value = values.get(tensor.name);
    if (value === undefined) return tensor;
    const { dtype, shape, bytes } = value;
    return { ...tensor, dtype, shape, constant: { kind: 'inline', bytes } };
  });
  const nodes = graph.nodes.filter(
    (node) => !tensorsWritten(node).some((index) => elementAt(tensors, index).constant !== null),
  );
  return compactGraph({ ...graph, tensors, nodes });
}
