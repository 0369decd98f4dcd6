/** The immutable graph that everything else works on. Edges are indices into `tensors`. */

/** Element types, by the names ONNX Runtime's JavaScript binding uses. */
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

/** Raw little-endian values: in the model file, or at a place in a file beside it. */
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
  /** Row-major dimensions (maps are N, C, H, W); -1 where unknown; null where even the rank is. */
  readonly shape: readonly number[] | null;
  readonly constant: Constant | null;
}

/** `opaque` carries an encoded AttributeProto (tensors, subgraphs) through untouched. */
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
  /** Tensor indices; -1 for an optional output that nobody asked for. */
  readonly outputs: readonly number[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Tensors that subgraphs of this node (If, Loop, Scan) read from outside. */
  readonly captures: readonly number[];
  /** Number that plans cut by: the source layer of a Darknet model, else the node's position. */
  readonly layer: number;
}

/** A directed acyclic graph; `nodes` stand in topological order and that order is fixed: cuts count in it. */
export interface Graph {
  readonly name: string;
  readonly irVersion: number;
  /** Operator set version by domain; '' is ai.onnx. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly tensors: readonly Tensor[];
  readonly nodes: readonly Node[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Encoded FunctionProtos that nodes of custom domains may call. */
  readonly functions: readonly Uint8Array[];
}

/** The tensor at an index that the graph itself holds. @throws {RangeError} if the graph is broken. */
export function tensorAt(graph: Graph, index: number): Tensor {
  const tensor = graph.tensors[index];
  if (tensor === undefined) {
    throw new RangeError(
      `Cannot read tensor ${index}: graph "${graph.name}" has ${graph.tensors.length} tensors`,
    );
  }
  return tensor;
}

/** All tensors a node reads, present ones only, subgraph captures included. */
export function tensorsRead(node: Node): readonly number[] {
  return [...node.inputs.filter((index) => index >= 0), ...node.captures];
}

/** The tensors a node writes, present ones only. */
export function tensorsWritten(node: Node): readonly number[] {
  return node.outputs.filter((index) => index >= 0);
}

/** Dimensions of a tensor whose shape is wholly known. @throws {RangeError} naming the tensor if it isn't. */
export function knownShape(tensor: Tensor): readonly number[] {
  if (tensor.shape === null || tensor.shape.some((dim) => dim < 0)) {
    const shape = tensor.shape === null ? 'unknown' : `[${tensor.shape.join(', ')}]`;
    throw new RangeError(`Cannot plan tensor "${tensor.name}": shape is ${shape}, expected known dimensions`);
  }
  return tensor.shape;
}

export function elementCount(shape: readonly number[]): number {
  // The planner's innermost loop.
  let count = 1;
  for (let axis = 0; axis < shape.length; axis += 1) count *= shape[axis] as number;
  return count;
}

/** Size of a tensor of known shape, in bytes. */
export function tensorBytes(tensor: Tensor): number {
  return elementCount(knownShape(tensor)) * BYTES_PER_ELEMENT[tensor.dtype];
}

export function intAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'int' ? attribute.value : fallback;
}

export function floatAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'float' ? attribute.value : fallback;
}

export function stringAttribute(node: Node, name: string, fallback: string): string {
  const attribute = node.attributes[name];
  return attribute?.kind === 'string' ? attribute.value : fallback;
}

/** Integer list attribute, or undefined where the node doesn't carry it. */
export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === 'ints' ? attribute.value : undefined;
}
