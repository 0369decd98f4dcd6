import type { Constant, DataType, Graph } from './graph.js';
import { tensorAt } from './graph.js';

/** Values of an inline float32 constant; a copy when the bytes aren't aligned to 4. */
export function float32Values(bytes: Uint8Array): Float32Array {
  if (bytes.byteOffset % 4 === 0) {
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** Inline constant over the same memory as the values. */
export function inlineConstant(values: Float32Array | BigInt64Array | Int32Array): Constant {
  return { kind: 'inline', bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** Reads one element of raw little-endian data. */
type ReadElement = (view: DataView, offset: number) => number;

const READERS: Partial<Record<DataType, { size: number; read: ReadElement }>> = {
  float32: { size: 4, read: (view, offset) => view.getFloat32(offset, true) },
  float64: { size: 8, read: (view, offset) => view.getFloat64(offset, true) },
  int32: { size: 4, read: (view, offset) => view.getInt32(offset, true) },
  int64: { size: 8, read: (view, offset) => Number(view.getBigInt64(offset, true)) },
  uint8: { size: 1, read: (view, offset) => view.getUint8(offset) },
  bool: { size: 1, read: (view, offset) => view.getUint8(offset) },
};

/**
 * Values of a small constant input (scales, pads, axes) as numbers, or undefined if the tensor isn't an
 * inline constant of a numeric type.
 */
export function constantNumbers(graph: Graph, index: number | undefined): readonly number[] | undefined {
  if (index === undefined || index < 0) return undefined;
  const { constant, dtype } = tensorAt(graph, index);
  const reader = READERS[dtype];
  if (constant?.kind !== 'inline' || reader === undefined) return undefined;
  const view = new DataView(constant.bytes.buffer, constant.bytes.byteOffset, constant.bytes.byteLength);
  const count = constant.bytes.byteLength / reader.size;
  return Array.from({ length: count }, (_, at) => reader.read(view, at * reader.size));
}
