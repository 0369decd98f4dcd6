/** Reads the outputs of a run by name. */
import type { OutputTensor } from '../engine/wire/protocol.js';
import { numberMaker, valuesOf as typedValues } from '../engine/wire/typed-array.js';
import type { OutputValues } from './box-decoder.js';

/** @throws {RangeError} naming the output, if the network doesn't have it or it isn't numbers. */
export function readOutput(outputs: readonly OutputTensor[], name: string): OutputValues {
  return { shape: outputOf(outputs, name).shape, values: valuesOf(outputs, name) };
}

/** @throws {RangeError} if the network doesn't have the output that the manifest names. */
export function outputOf(outputs: readonly OutputTensor[], name: string): OutputTensor {
  const output = outputs.find((candidate) => candidate.name === name);
  if (output !== undefined) return output;
  const known = outputs.map((candidate) => candidate.name).join(', ');
  throw new RangeError(`Cannot decode output "${name}": the network has ${known}`);
}

function valuesOf(outputs: readonly OutputTensor[], name: string): Float32Array {
  const { bytes, dtype } = outputOf(outputs, name);
  if (bytes === undefined || dtype === 'string') {
    throw new RangeError(`Cannot decode output "${name}": it is ${dtype}, expected numbers`);
  }
  const values = typedValues(dtype, bytes);
  if (values instanceof Float32Array) return values;
  return Float32Array.from(values as ArrayLike<number | bigint>, numberMaker(dtype));
}
