/**
 * Makes a float graph a quantised one, with QuantizeLinear and DequantizeLinear around each operator, as quantisers of
 * ONNX files write it.
 *
 * 1. Each map gets a scale and a zero point for its range.
 * 2. Weights become int8, symmetric, with one scale or one for each filter. Biases become int32 with the scale of the
 *    products. Both are read through a DequantizeLinear.
 * 3. A Relu or Clip right after a convolution stays with it. Operators that only move values keep the scale.
 *
 * Source: onnxruntime/quantization, static quantisation in QDQ form.
 */
import type { DataType, Graph, Node, Tensor } from '../shared/graph/index.js';
import {
  countReads,
  elementAt,
  elementCount,
  float32Values,
  inlineConstant,
  knownShape,
  TensorList,
  tensorAt,
} from '../shared/graph/index.js';

/** Least and greatest value of a map. */
export type ValueRange = readonly [number, number];

export interface QuantizeOptions {
  /** Range of each map by tensor. */
  readonly ranges: ReadonlyMap<number, ValueRange>;
  readonly activations?: 'uint8' | 'int8';
  readonly perChannel?: boolean;
  /** Factor of the biases' scales. ONNX Runtime doesn't fuse a convolution where it isn't 1. */
  readonly biasFactor?: number;
  /** Whether the output of a node stays in floats. */
  readonly isFloat?: (node: Node, at: number) => boolean;
}

/** Returns the graph in quantised form. Its inputs and outputs stay floats. */
export function quantizeGraph(graph: Graph, options: QuantizeOptions): Graph {
  return new Quantizer(graph, options).build();
}

interface Quantized {
  readonly scale: number;
  readonly scaleTensor: number;
  readonly zeroTensor: number;
}

const KEEPS_SCALE = new Set(['MaxPool', 'Resize', 'Slice']);
const STAYS_WITH_CONV = new Set(['Relu', 'Clip']);

class Quantizer {
  readonly #graph: Graph;
  readonly #options: QuantizeOptions;
  readonly #list: TensorList;
  readonly #nodes: Node[] = [];
  /** Tensor that nodes read instead of one of the float graph. */
  readonly #instead = new Map<number, number>();
  readonly #quantized = new Map<number, Quantized>();

  constructor(graph: Graph, options: QuantizeOptions) {
    this.#graph = graph;
    this.#options = options;
    this.#list = new TensorList(graph);
  }

  build(): Graph {
    const graph = this.#graph;
    for (const input of graph.inputs) this.#quantize(input, undefined);
    for (const [at, node] of graph.nodes.entries()) this.#addNode(node, at);
    const outputs = graph.outputs.map((output) => this.#instead.get(output) ?? output);
    const nodes = this.#nodes.map((node, layer) => ({ ...node, layer }));
    return { ...graph, tensors: this.#list.tensors, nodes, outputs };
  }

  #addNode(node: Node, at: number): void {
    const graph = this.#graph;
    const isConv = node.op === 'Conv';
    const inputs = node.inputs.map((index, place) => {
      if (isConv && place > 0) return this.#weights(node, index, place);
      return this.#instead.get(index) ?? index;
    });
    this.#nodes.push({ ...node, inputs });
    const output = elementAt(node.outputs, 0);
    const next = graph.nodes[at + 1];
    const staysWithNext =
      isConv &&
      next !== undefined &&
      STAYS_WITH_CONV.has(next.op) &&
      next.inputs[0] === output &&
      countReads(graph)[output] === 1;
    if (staysWithNext || this.#options.isFloat?.(node, at) === true) return;
    const source = KEEPS_SCALE.has(node.op) ? this.#quantized.get(elementAt(node.inputs, 0)) : undefined;
    this.#quantize(output, source);
  }

  /** Adds the pair of nodes after a map. */
  #quantize(tensor: number, like: Quantized | undefined): void {
    const { activations: dtype = 'uint8', ranges } = this.#options;
    const { name, shape } = tensorAt(this.#graph, tensor);
    const [least, most] = ranges.get(tensor) ?? [0, 1];
    const [from, to] = [Math.min(0, least), Math.max(0, most, least + 1e-3)];
    const scale = Math.fround((to - from) / 255);
    const zero = Math.round(-from / scale) - (dtype === 'int8' ? 128 : 0);
    const parameters = like ?? {
      scale,
      scaleTensor: this.#constant(`${name}/scale`, Float32Array.of(scale), [], 'float32'),
      zeroTensor: this.#constant(
        `${name}/zero`,
        dtype === 'int8' ? Int8Array.of(zero) : Uint8Array.of(zero),
        [],
        dtype,
      ),
    };
    const quantized = this.#list.add({ name: `${name}/q`, dtype, shape, constant: null });
    const back = this.#list.add({ name: `${name}/dq`, dtype: 'float32', shape, constant: null });
    const { scaleTensor, zeroTensor } = parameters;
    this.#push('QuantizeLinear', [tensor, scaleTensor, zeroTensor], quantized);
    this.#push('DequantizeLinear', [quantized, scaleTensor, zeroTensor], back);
    this.#instead.set(tensor, back);
    this.#quantized.set(tensor, parameters);
  }

  /** Returns what a Conv reads instead of its weights (input 1) or its bias (input 2). */
  #weights(node: Node, tensor: number, place: number): number {
    const { biasFactor = 1 } = this.#options;
    const source = this.#quantized.get(elementAt(node.inputs, 0));
    if (source === undefined) return tensor;
    const scales = this.#weightScales(elementAt(node.inputs, 1));
    if (place === 1) return this.#dequantized(tensor, { scales, bits: 8 });
    const products = scales.map((scale) => Math.fround(Math.fround(scale * source.scale) * biasFactor));
    return this.#dequantized(tensor, { scales: products, bits: 32 });
  }

  #weightScales(tensor: number): Float32Array {
    const values = valuesOf(tensorAt(this.#graph, tensor));
    const filters = elementAt(knownShape(tensorAt(this.#graph, tensor)), 0);
    const parts = this.#options.perChannel === true ? filters : 1;
    const length = values.length / parts;
    return Float32Array.from({ length: parts }, (_, part) => {
      const largest = values
        .subarray(part * length, (part + 1) * length)
        .reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      return Math.max(largest, 1e-6) / 127;
    });
  }

  #dequantized(
    tensor: number,
    { scales, bits }: { readonly scales: Float32Array; readonly bits: 8 | 32 },
  ): number {
    const source = tensorAt(this.#graph, tensor);
    const { name, shape } = source;
    const values = valuesOf(source);
    const length = values.length / scales.length;
    const stored = values.map((value, at) => Math.round(value / elementAt(scales, Math.floor(at / length))));
    const isByChannel = this.#options.perChannel === true;
    const dims = isByChannel ? [scales.length] : [];
    const dtype = bits === 8 ? 'int8' : 'int32';
    const typed = bits === 8 ? Int8Array.from(stored) : Int32Array.from(stored);
    const zeros = bits === 8 ? new Int8Array(scales.length) : new Int32Array(scales.length);
    const inputs = [
      this.#constant(`${name}/stored`, typed, knownShape(source), dtype),
      this.#constant(`${name}/scales`, scales, dims, 'float32'),
      this.#constant(`${name}/zeros`, zeros, dims, dtype),
    ];
    const output = this.#list.add({ name: `${name}/dq`, dtype: 'float32', shape, constant: null });
    this.#push('DequantizeLinear', inputs, output, isByChannel);
    return output;
  }

  #constant(name: string, values: ArrayBufferView, shape: readonly number[], dtype: DataType): number {
    return this.#list.add({ name, dtype, shape, constant: inlineConstant(values) });
  }

  #push(op: string, inputs: readonly number[], output: number, isByFilter = false): void {
    const { name } = elementAt(this.#list.tensors, output);
    const attributes: Node['attributes'] = isByFilter ? { axis: { kind: 'int', value: 0 } } : {};
    this.#nodes.push({ name, op, domain: '', inputs, outputs: [output], attributes, captures: [], layer: 0 });
  }
}

function valuesOf({ name, shape, constant }: Tensor): Float32Array {
  if (constant?.kind !== 'inline' || shape === null)
    throw new RangeError(`Cannot quantise "${name}": it isn't a constant in the graph`);
  return float32Values(constant.bytes).subarray(0, elementCount(shape));
}
