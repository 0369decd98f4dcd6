import { mulberry32 } from '../shared/darknet/index.js';

/** Noise from 0 to 1: the input of all runs, the same in every process. */
export function noiseInput(shape: readonly number[]): Float32Array {
  const random = mulberry32(7);
  const values = new Float32Array(shape.reduce((product, dim) => product * dim, 1));
  for (let at = 0; at < values.length; at += 1) values[at] = random();
  return values;
}
