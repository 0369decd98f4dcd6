/** Converts TensorProtos to the graph's constants and back. ONNX stores all values little-endian. */

import { create } from '@bufbuild/protobuf';
import type { Constant, DataType, Tensor } from '../graph/index.js';
import { BYTES_PER_ELEMENT, elementCount } from '../graph/index.js';
import type { TensorProto } from './onnx_pb.js';
import { StringStringEntryProtoSchema, TensorProto_DataLocation, TensorProtoSchema } from './onnx_pb.js';

/** Numbers of TensorProto.DataType (onnx.proto) for the types that a graph can have. */
const TYPE_NUMBERS: Readonly<Record<DataType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
};

const TYPE_NAMES = new Map(Object.entries(TYPE_NUMBERS).map(([name, number]) => [number, name as DataType]));

/** Number of an element type in onnx.proto. */
export function typeNumber(dtype: DataType): number {
  return TYPE_NUMBERS[dtype];
}

/** Element type of a number. @throws {SyntaxError} naming the tensor, if graphs have no such type. */
export function typeName(number: number, where: string): DataType {
  const name = TYPE_NAMES.get(number);
  if (name === undefined) {
    const known = [...TYPE_NAMES.values()].join(', ');
    throw new SyntaxError(`Cannot read ${where}: element type is ${number}, expected one of ${known}`);
  }
  return name;
}

/** A constant tensor. @throws {SyntaxError} naming it, if it can't be read or its values don't fill its shape. */
export function readTensor(proto: TensorProto): Tensor {
  const where = `tensor "${proto.name ?? ''}"`;
  const dtype = typeName(proto.dataType ?? 0, where);
  const shape = proto.dims.map(Number);
  if (shape.some((dim) => !Number.isSafeInteger(dim) || dim < 0)) {
    throw new SyntaxError(
      `Cannot read ${where}: shape is [${shape.join(', ')}], expected whole numbers from 0`,
    );
  }
  if (dtype === 'string')
    throw new SyntaxError(`Cannot read ${where}: element type is string, expected numbers`);
  const constant = readConstant(proto, dtype);
  const length = constant.kind === 'inline' ? constant.bytes.byteLength : constant.length;
  const expected = elementCount(shape) * BYTES_PER_ELEMENT[dtype];
  if (length !== expected) {
    throw new SyntaxError(
      `Cannot read ${where}: it has ${length} bytes of values, expected ${expected} for ${dtype} [${shape.join(', ')}]`,
    );
  }
  return { name: proto.name ?? '', dtype, shape, constant };
}

function readConstant(proto: TensorProto, dtype: DataType): Constant {
  if (proto.dataLocation === TensorProto_DataLocation.EXTERNAL) return readExternal(proto, dtype);
  if (proto.rawData !== undefined && proto.rawData.byteLength > 0) {
    return { kind: 'inline', bytes: proto.rawData };
  }
  return { kind: 'inline', bytes: typedFieldBytes(proto, dtype) };
}

function readExternal(proto: TensorProto, dtype: DataType): Constant {
  const entries = new Map(proto.externalData.map((entry) => [entry.key, entry.value ?? '']));
  const offset = Number(entries.get('offset') ?? 0);
  const expected = elementCount(proto.dims.map(Number)) * BYTES_PER_ELEMENT[dtype];
  const length = Number(entries.get('length') ?? expected);
  const location = entries.get('location') ?? '';
  if (location === '' || !isOffset(offset) || !isOffset(length)) {
    throw new SyntaxError(
      `Cannot read tensor "${proto.name ?? ''}": external data is at "${location}", offset ${entries.get('offset')}, ` +
        `length ${entries.get('length')}, expected a file name and whole numbers`,
    );
  }
  return { kind: 'external', location, offset, length };
}

function isOffset(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Values from the typed fields of onnx.proto. Small integers and float16 share int32_data. */
function typedFieldBytes(proto: TensorProto, dtype: DataType): Uint8Array {
  switch (dtype) {
    case 'float32':
      return bytesOf(Float32Array.from(proto.floatData));
    case 'float64':
      return bytesOf(Float64Array.from(proto.doubleData));
    case 'int64':
      return bytesOf(BigInt64Array.from(proto.int64Data));
    case 'uint64':
      return bytesOf(BigUint64Array.from(proto.uint64Data));
    case 'uint32':
      return bytesOf(Uint32Array.from(proto.uint64Data.map(Number)));
    case 'int32':
      return bytesOf(Int32Array.from(proto.int32Data));
    case 'int16':
    case 'uint16':
    case 'float16':
      return bytesOf(Uint16Array.from(proto.int32Data));
    default:
      return Uint8Array.from(proto.int32Data);
  }
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Encodes a constant. @throws {RangeError} if the tensor isn't a constant of known shape. */
export function writeTensor(tensor: Tensor): TensorProto {
  const { constant, shape } = tensor;
  if (constant === null || shape === null) {
    throw new RangeError(
      `Cannot write tensor "${tensor.name}": it is computed or of unknown shape, expected a constant`,
    );
  }
  const proto = create(TensorProtoSchema, {
    name: tensor.name,
    dataType: typeNumber(tensor.dtype),
    dims: shape.map(BigInt),
  });
  if (constant.kind === 'inline') {
    proto.rawData = constant.bytes;
    return proto;
  }
  proto.dataLocation = TensorProto_DataLocation.EXTERNAL;
  proto.externalData = Object.entries({
    location: constant.location,
    offset: String(constant.offset),
    length: String(constant.length),
  }).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));
  return proto;
}
