/** Values of constants as typed arrays and numbers, and constants made of such values. */
import type { Constant, DataType, Graph } from './graph.js';
import { tensorAt } from './graph.js';
import { elementAt } from './lookup.js';

/** Values of an inline float32 constant. They are a copy if the bytes aren't aligned to 4, otherwise a view. */
export function float32Values(bytes: Uint8Array): Float32Array {
  if (bytes.byteOffset % 4 === 0) {
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** Inline constant that shares the memory of the values. */
export function inlineConstant(values: ArrayBufferView): Constant {
  return { kind: 'inline', bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** Multiplies values in place; each product is rounded to float32 once. */
export function scaleValues(values: Float32Array, factor: number): void {
  for (let at = 0; at < values.length; at += 1) values[at] = elementAt(values, at) * factor;
}

/** Reads one element of raw little-endian data. */
type ReadElement = (view: DataView, offset: number) => number;

const READERS: Partial<Record<DataType, { size: number; read: ReadElement }>> = {
  float32: { size: 4, read: (view, offset) => view.getFloat32(offset, true) },
  float64: { size: 8, read: (view, offset) => view.getFloat64(offset, true) },
  int32: { size: 4, read: (view, offset) => view.getInt32(offset, true) },
  int64: { size: 8, read: (view, offset) => Number(view.getBigInt64(offset, true)) },
  int8: { size: 1, read: (view, offset) => view.getInt8(offset) },
  uint8: { size: 1, read: (view, offset) => view.getUint8(offset) },
  bool: { size: 1, read: (view, offset) => view.getUint8(offset) },
};

/**
 * Values of a small constant input (scales, pads, axes) as numbers. They are undefined if the input is left out
 * or isn't an inline constant of a numeric type.
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
