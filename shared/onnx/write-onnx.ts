/** Writes a graph as an ONNX file, the inverse of `parse-onnx.ts`. External constants stay in their files. */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Attribute, Graph, Node, Tensor } from '../graph/index.js';
import { tensorAt, tensorsRead } from '../graph/index.js';
import type { AttributeProto, NodeProto, ValueInfoProto } from './onnx_pb.js';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  FunctionProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from './onnx_pb.js';
import { typeNumber, writeTensor } from './onnx-tensor.js';
import { LAYERS_KEY } from './parse-onnx.js';

interface WriteOptions {
  /**
   * Symbolic height and width of rank-4 inputs. One session then runs tiles of any size, and ONNX Runtime can't
   * optimise a tile differently from the whole map.
   */
  readonly symbolicSpace?: boolean;
  /** Shapes of all intermediate tensors in the file. They hold for the whole graph at its own input size alone. */
  readonly recordShapes?: boolean;
  /** Outputs without types, which aren't known before shape inference. */
  readonly untypedOutputs?: boolean;
}

/** @returns the bytes of a .onnx file. */
export function writeOnnx(graph: Graph, options: WriteOptions = {}): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(graph.irVersion),
    producerName: 'mafat',
    opsetImport: Object.entries(graph.opsets).map(([domain, version]) =>
      create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
    ),
    functions: graph.functions.map((bytes) => fromBinary(FunctionProtoSchema, bytes)),
    metadataProps: [
      create(StringStringEntryProtoSchema, {
        key: LAYERS_KEY,
        value: graph.nodes.map(({ layer }) => layer).join(','),
      }),
    ],
    graph: writeGraph(graph, options),
  });
  return toBinary(ModelProtoSchema, model);
}

function writeGraph(graph: Graph, options: WriteOptions) {
  const used = new Set([...graph.nodes.flatMap(tensorsRead), ...graph.outputs]);
  const boundary = new Set([...graph.inputs, ...graph.outputs]);
  const inner = graph.tensors.filter((tensor, index) => tensor.constant === null && !boundary.has(index));
  return create(GraphProtoSchema, {
    name: graph.name || 'mafat',
    node: graph.nodes.map((node) => writeNode(graph, node)),
    initializer: graph.tensors
      .filter((tensor, index) => tensor.constant !== null && used.has(index))
      .map(writeTensor),
    input: graph.inputs.map((index) => writeInput(tensorAt(graph, index), options)),
    output: graph.outputs.map((index) => writeOutput(tensorAt(graph, index), options)),
    valueInfo: options.recordShapes ? inner.filter(({ shape }) => shape !== null).map(writeValueInfo) : [],
  });
}

function writeNode(graph: Graph, node: Node): NodeProto {
  const nameOf = (index: number) => (index < 0 ? '' : tensorAt(graph, index).name);
  return create(NodeProtoSchema, {
    name: node.name,
    opType: node.op,
    domain: node.domain,
    input: node.inputs.map(nameOf),
    output: node.outputs.map(nameOf),
    attribute: Object.entries(node.attributes).map(([name, attribute]) => writeAttribute(name, attribute)),
  });
}

function writeAttribute(name: string, attribute: Attribute): AttributeProto {
  switch (attribute.kind) {
    case 'int':
      return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(attribute.value) });
    case 'float':
      return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: attribute.value });
    case 'string': {
      const s = Uint8Array.from(attribute.value, (letter) => letter.charCodeAt(0));
      return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s });
    }
    case 'ints': {
      const ints = attribute.value.map(BigInt);
      return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints });
    }
    case 'floats':
      return create(AttributeProtoSchema, { name, type: AttributeType.FLOATS, floats: [...attribute.value] });
    case 'opaque':
      return fromBinary(AttributeProtoSchema, attribute.value);
  }
}

function writeInput(tensor: Tensor, { symbolicSpace }: WriteOptions): ValueInfoProto {
  const { shape } = tensor;
  if (symbolicSpace !== true || shape?.length !== 4) return writeValueInfo(tensor);
  return writeValueInfo({ ...tensor, shape: [...shape.slice(0, 2), -1, -1] });
}

/** ONNX Runtime infers the shape of an output, since the input may be a tile, unless shapes are recorded. */
function writeOutput(tensor: Tensor, { recordShapes, untypedOutputs }: WriteOptions): ValueInfoProto {
  if (untypedOutputs) return create(ValueInfoProtoSchema, { name: tensor.name });
  return writeValueInfo(recordShapes ? tensor : { ...tensor, shape: null });
}

function writeValueInfo({ name, dtype, shape }: Tensor): ValueInfoProto {
  const tensorType = create(TypeProto_TensorSchema, { elemType: typeNumber(dtype) });
  if (shape !== null) {
    tensorType.shape = create(TensorShapeProtoSchema, {
      dim: shape.map((dim, axis) => writeDimension(dim, `${name}:${axis}`)),
    });
  }
  const type = create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } });
  return create(ValueInfoProtoSchema, { name, type });
}

function writeDimension(dim: number, symbol: string) {
  return create(TensorShapeProto_DimensionSchema, {
    value: dim < 0 ? { case: 'dimParam', value: symbol } : { case: 'dimValue', value: BigInt(dim) },
  });
}
