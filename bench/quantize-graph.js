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
/** Returns the graph in quantised form. Its inputs and outputs stay floats. */
export function quantizeGraph(graph, options) {
  return new Quantizer(graph, options).build();
}
const KEEPS_SCALE = new Set(['MaxPool', 'Resize', 'Slice']);
const STAYS_WITH_CONV = new Set(['Relu', 'Clip']);
class Quantizer {
  #graph;
  #options;
  #list;
  #nodes = [];
  /** Tensor that nodes read instead of one of the float graph. */
  #instead = new Map();
  #quantized = new Map();
  constructor(graph, options) {
    this.#graph = graph;
    this.#options = options;
    this.#list = new TensorList(graph);
  }
  build() {
    const graph = this.#graph;
    for (const input of graph.inputs) this.#quantize(input, undefined);
    for (const [at, node] of graph.nodes.entries()) this.#addNode(node, at);
    const outputs = graph.outputs.map((output) => this.#instead.get(output) ?? output);
    const nodes = this.#nodes.map((node, layer) => ({ ...node, layer }));
    return { ...graph, tensors: this.#list.tensors, nodes, outputs };
  }
  #addNode(node, at) {
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
  #quantize(tensor, like) {
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
  #weights(node, tensor, place) {
    const { biasFactor = 1 } = this.#options;
    const source = this.#quantized.get(elementAt(node.inputs, 0));
    if (source === undefined) return tensor;
    const scales = this.#weightScales(elementAt(node.inputs, 1));
    if (place === 1) return this.#dequantized(tensor, { scales, bits: 8 });
    const products = scales.map((scale) => Math.fround(Math.fround(scale * source.scale) * biasFactor));
    return this.#dequantized(tensor, { scales: products, bits: 32 });
  }
  #weightScales(tensor) {
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
  #dequantized(tensor, { scales, bits }) {
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
  #constant(name, values, shape, dtype) {
    return this.#list.add({ name, dtype, shape, constant: inlineConstant(values) });
  }
  #push(op, inputs, output, isByFilter = false) {
    const { name } = elementAt(this.#list.tensors, output);
    const attributes = isByFilter ? { axis: { kind: 'int', value: 0 } } : {};
    this.#nodes.push({ name, op, domain: '', inputs, outputs: [output], attributes, captures: [], layer: 0 });
  }
}
function valuesOf({ name, shape, constant }) {
  if (constant?.kind !== 'inline' || shape === null)
    throw new RangeError(`Cannot quantise "${name}": it isn't a constant in the graph`);
  return float32Values(constant.bytes).subarray(0, elementCount(shape));
}
//# sourceMappingURL=quantize-graph.js.map
