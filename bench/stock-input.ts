/** Makes the input of the contestants. */
import { mulberry32 } from '../shared/darknet/index.js';
import { elementCount } from '../shared/graph/index.js';

/** Noise from 0 to 1, which is the same in every process. */
export function noiseInput(shape: readonly number[]): Float32Array {
  const random = mulberry32(7);
  const values = new Float32Array(elementCount(shape));
  for (let at = 0; at < values.length; at += 1) values[at] = random();
  return values;
}
