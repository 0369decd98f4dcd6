/**
 * Reads an ONNX file into a graph.
 *
 * 1. Decodes the protobuf.
 * 2. Numbers all values: initializers, inputs, node outputs.
 * 3. Turns `Constant` nodes into constants.
 * 4. Keeps the file's order of nodes if it is topological, otherwise sorts them.
 *
 * This checks the structure alone. ONNX Runtime checks operators and types at import, since only it knows them.
 * External data is referenced, not read. Absent protobuf fields have their defaults.
 * Source: github.com/onnx/onnx, onnx.proto and docs/IR.md.
 */

import { fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Attribute, Constant, DataType, Graph, Node, Tensor } from '../graph/index.js';
import { elementAt } from '../graph/index.js';
import type { AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto } from './onnx_pb.js';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  FunctionProtoSchema,
  ModelProtoSchema,
} from './onnx_pb.js';
import { readTensor, typeName } from './onnx-tensor.js';
import { sortNodes } from './sort-nodes.js';

/** Versions of ai.onnx whose semantics `locality.ts` knows. ONNX Runtime 1.30 accepts the same range. */
export const OPSET_RANGE = { min: 7, max: 26 } as const;

/** Key of ModelProto.metadata_props that holds the layer of each node. */
export const LAYERS_KEY = 'mafat.layers';

/** What a file says of itself beside its graph. */
export interface OnnxMetadata {
  /** Name of the exporter; empty if the file has none. */
  readonly producer: string;
  /** Entries of `metadata_props`. */
  readonly entries: ReadonlyMap<string, string>;
}

export interface OnnxModel {
  readonly graph: Graph;
  readonly metadata: OnnxMetadata;
}

/** The graph of a model. @throws as `parseOnnxModel`. */
export function parseOnnx(bytes: Uint8Array): Graph {
  return parseOnnxModel(bytes).graph;
}

/**
 * @param bytes a whole .onnx file. The graph's constants are views of it.
 * @throws {SyntaxError} naming the place, if it isn't a usable ONNX model.
 */
export function parseOnnxModel(bytes: Uint8Array): OnnxModel {
  const model = decodeModel(bytes);
  const entries = model.metadataProps.map(({ key = '', value = '' }) => [key, value] as const);
  return {
    graph: graphOf(model),
    metadata: { producer: model.producerName ?? '', entries: new Map(entries) },
  };
}

function graphOf(model: ModelProto): Graph {
  const opsets = readOpsets(model);
  const proto = model.graph;
  if (proto === undefined || proto.node.length === 0) {
    throw new SyntaxError('Cannot parse ONNX model: its graph has no nodes, expected at least one');
  }
  if (proto.output.length === 0)
    throw new SyntaxError('Cannot parse ONNX model: its graph has no outputs, expected at least one');
  if (proto.sparseInitializer.length > 0) {
    throw new SyntaxError('Cannot parse ONNX model: it has sparse initializers, which are not supported');
  }
  return new GraphReader(proto).read({
    irVersion: Number(model.irVersion ?? 0n),
    opsets,
    functions: model.functions.map((item) => toBinary(FunctionProtoSchema, item)),
    layers: readLayers(model),
  });
}

function decodeModel(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SyntaxError(`Cannot parse ONNX model: not a valid protobuf (${reason})`);
  }
}

function readOpsets(model: ModelProto): Record<string, number> {
  const opsets: Record<string, number> = {};
  for (const { domain, version } of model.opsetImport) {
    opsets[normalDomain(domain ?? '')] = Number(version ?? 0n);
  }
  const onnx = opsets[''];
  if (onnx === undefined)
    throw new SyntaxError('Cannot parse ONNX model: it imports no ai.onnx operator set');
  if (onnx < OPSET_RANGE.min || onnx > OPSET_RANGE.max) {
    throw new SyntaxError(
      `Cannot parse ONNX model: ai.onnx opset ${onnx}, expected ${OPSET_RANGE.min} to ${OPSET_RANGE.max}`,
    );
  }
  return opsets;
}

function readLayers(model: ModelProto): readonly number[] | undefined {
  const entry = model.metadataProps.find(({ key }) => key === LAYERS_KEY);
  return entry === undefined ? undefined : (entry.value ?? '').split(',').map(Number);
}

function normalDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

interface ModelFacts {
  readonly irVersion: number;
  readonly opsets: Readonly<Record<string, number>>;
  readonly functions: readonly Uint8Array[];
  readonly layers: readonly number[] | undefined;
}

class GraphReader {
  readonly #proto: GraphProto;
  readonly #tensors: Tensor[] = [];
  readonly #indices = new Map<string, number>();
  readonly #produced = new Set<number>();

  constructor(proto: GraphProto) {
    this.#proto = proto;
  }

  read(facts: ModelFacts): Graph {
    for (const proto of this.#proto.initializer) this.#declare(readTensor(proto));
    const inputs = this.#readInputs();
    const named = this.#proto.node.map((node, at) => this.#declareOutputs(node, at));
    this.#applyValueInfo();
    const nodes = named.map((node) => this.#readNode(node));
    const absorbed = nodes.map((node) => this.#absorbConstant(node));
    const computed = absorbed.includes(true) ? nodes.filter((_, at) => !absorbed[at]) : nodes;
    const outputs = this.#proto.output.map(({ name }) => this.#find(name ?? '', 'graph outputs'));
    const sorted = sortNodes(computed, this.#tensors.length);
    const layers = isLayering(facts.layers, nodes) && sorted === nodes ? facts.layers : undefined;
    return {
      name: this.#proto.name ?? '',
      irVersion: facts.irVersion,
      opsets: facts.opsets,
      functions: facts.functions,
      tensors: this.#tensors,
      nodes: sorted.map((node, at) => ({
        ...node,
        layer: layers === undefined ? at : elementAt(layers, at),
      })),
      inputs,
      outputs,
    };
  }

  #declare(tensor: Tensor): number {
    if (tensor.name === '' || this.#indices.has(tensor.name)) {
      throw new SyntaxError(`Cannot parse ONNX model: value "${tensor.name}" is defined more than once`);
    }
    this.#indices.set(tensor.name, this.#tensors.length);
    return this.#tensors.push(tensor) - 1;
  }

  /** Declares inputs and returns their indices. Files before IR version 4 list initializers as inputs too. */
  #readInputs(): readonly number[] {
    const inputs = this.#proto.input.filter(({ name }) => !this.#indices.has(name ?? ''));
    return inputs.map((info) => this.#declare({ ...readValueInfo(info), constant: null }));
  }

  #declareOutputs(node: NodeProto, at: number): NodeProto & { name: string } {
    for (const name of node.output) {
      if (name === '') continue;
      this.#produced.add(this.#declare({ name, dtype: 'float32', shape: null, constant: null }));
    }
    return Object.assign(node, { name: node.name || `${node.opType ?? ''}_${at}` });
  }

  #applyValueInfo(): void {
    for (const info of [...this.#proto.valueInfo, ...this.#proto.output]) {
      const index = this.#indices.get(info.name ?? '');
      if (index === undefined || !this.#produced.has(index)) continue;
      this.#tensors[index] = { ...readValueInfo(info), constant: null };
    }
  }

  #readNode(proto: NodeProto & { name: string }): Node {
    const where = `inputs of node "${proto.name}" (${proto.opType ?? ''})`;
    const captured = proto.attribute.flatMap(subgraphsOf).flatMap((graph) => capturedNames(graph));
    const captures = new Set(
      captured.map((name) => this.#indices.get(name)).filter((at) => at !== undefined),
    );
    return {
      name: proto.name,
      op: proto.opType ?? '',
      domain: normalDomain(proto.domain ?? ''),
      inputs: proto.input.map((name) => (name === '' ? -1 : this.#find(name, where))),
      outputs: proto.output.map((name) => (name === '' ? -1 : this.#find(name, where))),
      attributes: Object.fromEntries(proto.attribute.map((item) => [item.name ?? '', readAttribute(item)])),
      captures: [...captures],
      layer: 0,
    };
  }

  #find(name: string, where: string): number {
    const index = this.#indices.get(name);
    if (index === undefined) {
      throw new SyntaxError(`Cannot parse ONNX model: ${where} name "${name}", which nothing defines`);
    }
    return index;
  }

  /** Turns a `Constant` node into a constant tensor. Returns false if it is another node. */
  #absorbConstant(node: Node): boolean {
    const output = node.outputs[0];
    if (node.op !== 'Constant' || node.domain !== '' || output === undefined || output < 0) return false;
    const tensor = constantOf(node);
    if (tensor === undefined) return false;
    const { name } = elementAt(this.#tensors, output);
    this.#tensors[output] = { ...tensor, name };
    return true;
  }
}

/** Whether numbers of layers are as mafat writes them: one for each node, ascending. Others are ignored. */
function isLayering(layers: readonly number[] | undefined, nodes: readonly Node[]): boolean {
  return (
    layers?.length === nodes.length &&
    layers.every((layer, at) => Number.isSafeInteger(layer) && layer >= (layers[at - 1] ?? 0))
  );
}

function constantOf(node: Node): Omit<Tensor, 'name'> | undefined {
  for (const [name, attribute] of Object.entries(node.attributes)) {
    if (name === 'value' && attribute.kind === 'opaque') {
      const proto = fromBinary(AttributeProtoSchema, attribute.value).t;
      return proto === undefined ? undefined : readTensor(proto);
    }
    if (attribute.kind === 'int' || attribute.kind === 'ints') {
      return numberConstant('int64', BigInt64Array.from([attribute.value].flat().map(BigInt)), attribute);
    }
    if (attribute.kind === 'float' || attribute.kind === 'floats') {
      return numberConstant('float32', Float32Array.from([attribute.value].flat()), attribute);
    }
  }
  return undefined;
}

function numberConstant(
  dtype: DataType,
  values: Float32Array | BigInt64Array,
  { kind }: Attribute,
): Omit<Tensor, 'name'> {
  const constant: Constant = { kind: 'inline', bytes: new Uint8Array(values.buffer) };
  return { dtype, shape: kind === 'int' || kind === 'float' ? [] : [values.length], constant };
}

function readValueInfo(info: ValueInfoProto): Omit<Tensor, 'constant'> {
  const name = info.name ?? '';
  const type = info.type?.value;
  if (type === undefined) return { name, dtype: 'float32', shape: null };
  if (type.case !== 'tensorType') {
    throw new SyntaxError(`Cannot parse ONNX model: value "${name}" is a ${type.case}, expected a tensor`);
  }
  const dims = type.value.shape?.dim.map(({ value }) =>
    value.case === 'dimValue' && value.value >= 0n ? Number(value.value) : -1,
  );
  return { name, dtype: typeName(type.value.elemType ?? 0, `value "${name}"`), shape: dims ?? null };
}

function readAttribute(proto: AttributeProto): Attribute {
  switch (proto.type) {
    case AttributeType.INT:
      return { kind: 'int', value: safeNumber(proto.i ?? 0n) };
    case AttributeType.FLOAT:
      return { kind: 'float', value: proto.f ?? 0 };
    case AttributeType.STRING:
      return { kind: 'string', value: decodeAscii(proto.s ?? new Uint8Array()) };
    case AttributeType.INTS:
      return { kind: 'ints', value: proto.ints.map(safeNumber) };
    case AttributeType.FLOATS:
      return { kind: 'floats', value: proto.floats };
    default:
      return { kind: 'opaque', value: toBinary(AttributeProtoSchema, proto) };
  }
}

/**
 * Clamps an integer to the safe numbers. Slices use 2^63 - 1 for "to the end", and any number beyond the size of
 * a tensor has that meaning.
 */
function safeNumber(value: bigint): number {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(value > limit ? limit : value < -limit ? -limit : value);
}

/** Text of an attribute. The standard's are ASCII words such as SAME_UPPER; other bytes pass unchanged. */
function decodeAscii(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

function subgraphsOf(attribute: AttributeProto): readonly GraphProto[] {
  return attribute.g === undefined ? attribute.graphs : [attribute.g, ...attribute.graphs];
}

/** Names that a subgraph uses and doesn't define. They may be values of the graph around it. */
function capturedNames(graph: GraphProto): readonly string[] {
  const defined = new Set([
    ...graph.input.map(({ name }) => name ?? ''),
    ...graph.initializer.map(({ name }) => name ?? ''),
    ...graph.node.flatMap(({ output }) => output),
  ]);
  const nested = graph.node.flatMap(({ attribute }) => attribute.flatMap(subgraphsOf)).flatMap(capturedNames);
  const used = [...graph.node.flatMap(({ input }) => input), ...graph.output.map(({ name }) => name ?? '')];
  return [...used, ...nested].filter((name) => name !== '' && !defined.has(name));
}
