import { halfToNumber } from '../../../shared/graph/half-floats.js';
import type { DataType } from '../../../shared/graph/index.js';

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
} as const;

/** Zeroed array of the kind that ONNX Runtime uses for a type. @throws {TypeError} for strings. */
export function allocate(dtype: DataType, length: number): TypedArray {
  return new (arrayClass(dtype))(length);
}

/** The values of a tensor that came as raw bytes, copied only if they aren't aligned. */
export function valuesOf(dtype: DataType, bytes: Uint8Array): TypedArray {
  const ArrayClass = arrayClass(dtype);
  const aligned = bytes.byteOffset % ArrayClass.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new ArrayClass(
    aligned.buffer as ArrayBuffer,
    aligned.byteOffset,
    bytes.byteLength / ArrayClass.BYTES_PER_ELEMENT,
  );
}

/** Makes numbers of a tensor's elements. Whole ones beyond 2^53 lose their last digits. */
export function numberMaker(dtype: DataType): (element: number | bigint) => number {
  return dtype === 'float16' ? (bits) => halfToNumber(Number(bits)) : Number;
}

/**
 * Gives the memory of an array back at once, instead of whenever the collector comes by; the array is empty from
 * then on, and so is every other view of its buffer. Not for bytes that came in a message: they share theirs.
 */
export function release({ buffer }: TypedArray): void {
  (buffer as TransferableBuffer).transfer?.(0);
}

/** Of ES2024; Node 20 has it behind TRANSFER_FLAGS. Without it memory is given back, but later. */
interface TransferableBuffer extends ArrayBuffer {
  transfer?(newByteLength: number): ArrayBuffer;
}

/** What a Node process needs so that `release` releases: Node 21 (V8 11.4) was the first to have it without a flag. */
export const TRANSFER_FLAGS: readonly string[] =
  Number(process.versions.node.split('.')[0]) < 21 ? ['--harmony-rab-gsab-transfer'] : [];

function arrayClass(dtype: DataType) {
  if (dtype === 'string') throw new TypeError('Cannot hold a string tensor: only numbers are supported');
  return ARRAYS[dtype];
}
