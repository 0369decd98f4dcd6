/** The immutable graph that all of mafat works on. Edges are indices into `tensors`. */
import { elementAt, present } from './lookup.js';

/** Element types, named as in ONNX Runtime's JavaScript binding. */
export type DataType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'string';

export const BYTES_PER_ELEMENT: Readonly<Record<DataType, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
  string: 16,
};

/** Raw little-endian values, either in the model file or in a data file next to it. */
export type Constant =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'external';
      readonly location: string;
      readonly offset: number;
      readonly length: number;
    };

export interface Tensor {
  readonly name: string;
  readonly dtype: DataType;
  /** Row-major dimensions; maps are N, C, H, W. A dimension is -1 if it is unknown, the shape null if the rank is. */
  readonly shape: readonly number[] | null;
  readonly constant: Constant | null;
}

/** Attribute of a node. `opaque` holds an encoded AttributeProto (tensors, subgraphs) that passes unchanged. */
export type Attribute =
  | { readonly kind: 'int' | 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints' | 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'opaque'; readonly value: Uint8Array };

export interface Node {
  readonly name: string;
  /** ONNX operator type, such as `Conv`. */
  readonly op: string;
  readonly domain: string;
  /** Tensor indices; -1 for an optional input that is absent. */
  readonly inputs: readonly number[];
  /** Tensor indices; -1 for an optional output that is absent. */
  readonly outputs: readonly number[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Indices of tensors of this graph that the node's subgraphs (If, Loop, Scan) read. */
  readonly captures: readonly number[];
  /** Number that plans cut by: the layer of a Darknet model, otherwise the node's position. */
  readonly layer: number;
}

/** A directed acyclic graph. `nodes` are in topological order, and the order is fixed since plans cut by it. */
export interface Graph {
  readonly name: string;
  readonly irVersion: number;
  /** Operator set version by domain; '' is ai.onnx. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly tensors: readonly Tensor[];
  readonly nodes: readonly Node[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Encoded FunctionProtos, which nodes of custom domains may call. */
  readonly functions: readonly Uint8Array[];
}

/** The tensor at an index. @throws {RangeError} naming the graph, if it has no such tensor. */
export function tensorAt(graph: Graph, index: number): Tensor {
  const tensor = graph.tensors[index];
  if (tensor === undefined) {
    throw new RangeError(
      `Cannot read tensor ${index}: graph "${graph.name}" has ${graph.tensors.length} tensors`,
    );
  }
  return tensor;
}

/**
 * Tensor index of a node's input, or -1 if it is absent. ONNX leaves an optional input out by an empty name or
 * by a shorter list.
 */
export function inputAt(node: Node, at: number): number {
  return node.inputs[at] ?? -1;
}

/** Tensor index of a node's output, or -1 if it is absent. */
export function outputAt(node: Node, at: number): number {
  return node.outputs[at] ?? -1;
}

/** Version of the ai.onnx operator set that the graph uses; every graph has one. */
export function onnxOpset(graph: Graph): number {
  return present(graph.opsets[''], 'version of the ai.onnx operator set');
}

/** Indices of the tensors that a node reads, subgraph captures included and absent inputs left out. */
export function tensorsRead(node: Node): readonly number[] {
  return [...node.inputs.filter((index) => index >= 0), ...node.captures];
}

/** Indices of the tensors that a node writes; absent outputs are left out. */
export function tensorsWritten(node: Node): readonly number[] {
  return node.outputs.filter((index) => index >= 0);
}

/** Dimensions of a tensor of known shape. @throws {RangeError} naming the tensor, if a dimension is unknown. */
export function knownShape(tensor: Tensor): readonly number[] {
  if (tensor.shape === null || tensor.shape.some((dim) => dim < 0)) {
    const shape = tensor.shape === null ? 'unknown' : `[${tensor.shape.join(', ')}]`;
    throw new RangeError(`Cannot plan tensor "${tensor.name}": shape is ${shape}, expected known dimensions`);
  }
  return tensor.shape;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  // This is the planner's innermost function: a loop over indices is faster than for-of or reduce.
  let count = 1;
  for (let axis = 0; axis < shape.length; axis += 1) count *= elementAt(shape, axis);
  return count;
}

/** Size of a tensor of known shape, in bytes. */
export function tensorBytes(tensor: Tensor): number {
  return elementCount(knownShape(tensor)) * BYTES_PER_ELEMENT[tensor.dtype];
}

/** Integer attribute, or the fallback if the node doesn't have it. */
export function intAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'int' ? attribute.value : fallback;
}

/** Float attribute, or the fallback if the node doesn't have it. */
export function floatAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'float' ? attribute.value : fallback;
}

/** String attribute, or the fallback if the node doesn't have it. */
export function stringAttribute(node: Node, name: string, fallback: string): string {
  const attribute = node.attributes[name];
  return attribute?.kind === 'string' ? attribute.value : fallback;
}

/** Integer list attribute, or undefined if the node doesn't have it. */
export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === 'ints' ? attribute.value : undefined;
}
