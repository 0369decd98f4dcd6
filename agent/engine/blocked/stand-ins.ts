/**
 * Makes a model whose large weights are left out, so that ONNX Runtime needs little memory to optimise it. It would
 * hold them two to four times.
 *
 * 1. Weights of a convolution are replaced by a small stand-in of noise. Its content tells afterwards where it went, and
 *    that ONNX Runtime reordered it as expected (restore-weights.ts).
 *    - If the channels are whole blocks, the convolution gets as many groups as they can be divided into. ONNX Runtime
 *      treats groups of whole blocks like a convolution without groups.
 *    - Else the convolution reads one block of its map's channels, by a Slice before it. ONNX Runtime doesn't see then
 *      that maps before and after it are of one size, so this is for the ends of a network, where no maps are joined.
 * 2. Weights of matrix products and transposed convolutions become inputs, since ONNX Runtime leaves them as they are.
 *
 * Source: onnxruntime/core/optimizer/nchwc_transformer.cc, NchwcTransformerImpl::TransformConv.
 */
import { createHash } from 'node:crypto';
import type { Attribute, Constant, Graph, Node, Tensor } from '../../../shared/graph/index.js';
import {
  countReads,
  elementAt,
  elementCount,
  inlineConstant,
  intAttribute,
  TensorList,
  tensorAt,
} from '../../../shared/graph/index.js';
import { blockLength, filterSizes, paddedOutputs, reorderBlock } from './blocked-order.js';

export type ExternalConstant = Extract<Constant, { kind: 'external' }>;

/** Weights that were left out. */
export interface LeftOut {
  readonly constant: ExternalConstant;
  /** Shape of the weights in the stored model. */
  readonly shape: readonly number[];
}

export interface StandInModel {
  readonly graph: Graph;
  /** Content of the file of all stand-ins, one after the other. */
  readonly content: readonly Uint8Array[];
  /** Weights of convolutions, by the digest of their stand-in in blocked order. */
  readonly filters: ReadonlyMap<string, LeftOut>;
  /** Sizes of the stand-ins in blocked order, in bytes. */
  readonly sizes: ReadonlySet<number>;
  /** Weights that are inputs now, by name. */
  readonly operands: ReadonlyMap<string, LeftOut>;
}

export interface StandInOptions {
  /** Channels in a block. */
  readonly block: number;
  /** Path of the file of all stand-ins, relative to the folder of the weights. */
  readonly location: string;
}

/** Size of the smallest weights that are left out. */
const LEAST_BYTES = 32 * 2 ** 10;

/** Size of the smallest weights that a Slice is made for. */
const LEAST_SLICED_BYTES = 256 * 2 ** 10;

/** First version of ONNX in which Slice reads its range from inputs. */
const SLICE_OPSET = 10;

/** Operators whose second input ONNX Runtime doesn't reorder. */
const PLAIN_OPERATORS = new Set(['Gemm', 'MatMul', 'ConvTranspose']);

/** Makes a model without its large weights. */
export function leaveOutWeights(graph: Graph, options: StandInOptions): StandInModel {
  const omission = new Omission(graph, options);
  const nodes = graph.nodes.flatMap((node) => omission.omit(node));
  return omission.build(nodes);
}

/** Returns a convolution of so many groups. */
export function withGroups(node: Node, groups: number): Node {
  const group: Attribute = { kind: 'int', value: groups };
  return { ...node, attributes: { ...node.attributes, group } };
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

class Omission {
  readonly #graph: Graph;
  readonly #options: StandInOptions;
  readonly #reads: Uint32Array;
  readonly #list: TensorList;
  readonly #inputs: number[];
  readonly #content: Uint8Array[] = [];
  readonly #filters = new Map<string, LeftOut>();
  readonly #sizes = new Set<number>();
  readonly #operands = new Map<string, LeftOut>();
  #bytes = 0;

  constructor(graph: Graph, options: StandInOptions) {
    this.#graph = graph;
    this.#options = options;
    this.#reads = countReads(graph);
    this.#list = new TensorList(graph);
    this.#inputs = [...graph.inputs];
  }

  build(nodes: readonly Node[]): StandInModel {
    const graph = { ...this.#graph, tensors: this.#list.tensors, inputs: this.#inputs, nodes };
    const [content, filters, sizes, operands] = [this.#content, this.#filters, this.#sizes, this.#operands];
    return { graph, content, filters, sizes, operands };
  }

  /** Returns the nodes that stand for a node. */
  omit(node: Node): readonly Node[] {
    const index = node.inputs[1] ?? -1;
    if (node.domain !== '' || this.#reads[index] !== 1) return [node];
    const tensor = tensorAt(this.#graph, index);
    const leftOut = leftOutOf(tensor);
    if (leftOut === undefined) return [node];
    if (node.op === 'Conv') return this.#omitFilters(node, leftOut);
    if (PLAIN_OPERATORS.has(node.op)) {
      this.#operands.set(tensor.name, leftOut);
      this.#list.tensors[index] = { ...tensor, constant: null };
      this.#inputs.push(index);
    }
    return [node];
  }

  #omitFilters(node: Node, leftOut: LeftOut): readonly Node[] {
    const { block } = this.#options;
    const { shape } = leftOut;
    const { outputs, inputs } = filterSizes(shape, block);
    const isPlain = shape.length === 4 && intAttribute(node, 'group', 1) === 1;
    if (!isPlain || inputs % block !== 0) return [node];
    const groups = outputs % block === 0 ? greatestDivisor(outputs / block, inputs / block) : 1;
    if (groups > 1) {
      this.#addStandIn(node, leftOut, inputs / groups);
      return [withGroups(node, groups)];
    }
    if (inputs === block || leftOut.constant.length < LEAST_SLICED_BYTES || !this.#isEnd(node)) return [node];
    const map = elementAt(node.inputs, 0);
    this.#addStandIn(node, leftOut, block);
    const slice = this.#sliceOf(node, map);
    return [slice, { ...node, inputs: [elementAt(slice.outputs, 0), ...node.inputs.slice(1)] }];
  }

  /** Whether a node alone reads its map, and no later node joins maps that depend on it. */
  #isEnd(node: Node): boolean {
    const { nodes, opsets } = this.#graph;
    // ONNX Runtime reorders a map once for all its readers, which slices would part.
    if (this.#reads[elementAt(node.inputs, 0)] !== 1 || (opsets[''] ?? 0) < SLICE_OPSET) return false;
    const after = new Set(node.outputs);
    for (const { inputs, outputs } of nodes.slice(nodes.indexOf(node) + 1)) {
      if (!inputs.some((input) => after.has(input))) continue;
      if (inputs.filter((input) => input >= 0 && tensorAt(this.#graph, input).constant === null).length > 1)
        return false;
      for (const output of outputs) after.add(output);
    }
    return true;
  }

  /** Replaces the weights of a convolution by noise for so many input channels. */
  #addStandIn(node: Node, leftOut: LeftOut, inputs: number): void {
    const { block, location } = this.#options;
    const index = elementAt(node.inputs, 1);
    const shape = leftOut.shape.map((size, axis) => (axis === 1 ? inputs : size));
    const noise = Float32Array.from({ length: elementCount(shape) }, () => Math.random());
    const blocked = bytesOf(blockedFilters(noise, shape, block));
    this.#filters.set(digestOf(blocked), leftOut);
    this.#sizes.add(blocked.byteLength);
    this.#content.push(bytesOf(noise));
    const constant = { kind: 'external', location, offset: this.#bytes, length: noise.byteLength } as const;
    this.#list.tensors[index] = { ...tensorAt(this.#graph, index), shape, constant };
    this.#bytes += noise.byteLength;
  }

  /** Returns a node that cuts the first block of channels from a map. */
  #sliceOf({ layer }: Node, map: number): Node {
    const { block } = this.#options;
    const { name, dtype } = tensorAt(this.#graph, map);
    const output = this.#list.add({ name: `${name}/block`, dtype, shape: null, constant: null });
    const range = [0, block, 1].map((value) => {
      const constant = inlineConstant(BigInt64Array.of(BigInt(value)));
      return this.#list.add({ name: `${name}/block/${value}`, dtype: 'int64', shape: [1], constant });
    });
    return {
      name: `${name}/block`,
      op: 'Slice',
      domain: '',
      inputs: [map, ...range],
      outputs: [output],
      attributes: {},
      captures: [],
      layer,
    };
  }
}

function leftOutOf({ constant, dtype, shape }: Tensor): LeftOut | undefined {
  if (constant?.kind !== 'external' || dtype !== 'float32' || shape === null) return undefined;
  return constant.length < LEAST_BYTES ? undefined : { constant, shape };
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Returns weights in blocked order. @param shape of the weights in plain order. */
function blockedFilters(plain: Float32Array, shape: readonly number[], block: number): Float32Array {
  const sizes = filterSizes(shape, block);
  const length = blockLength(sizes);
  const blocked = new Float32Array((paddedOutputs(sizes) / block) * length);
  for (let start = 0; start < blocked.length; start += length)
    reorderBlock(plain.subarray(start, start + length), sizes, blocked.subarray(start, start + length));
  return blocked;
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
