/** Random weights for networks that are measured and not used. */
import type { ConvolutionShape, ConvolutionWeights, WeightSource } from './darknet-weights.js';

/** Slope of leaky activations below zero, which is part of He's variance. */
const LEAKY_SLOPE = 0.1;

/**
 * Random weights for a network definition that has none. They are normal with He's variance
 * 2 / ((1 + slope^2) fan-in), so that values neither vanish nor explode at any depth. They detect nothing.
 * Source: He et al., Delving Deep into Rectifiers, section 2.2.
 */
export class SyntheticWeights implements WeightSource {
  readonly #normal: () => number;

  /** @param seed gives the same weights on every machine. */
  constructor(seed: number) {
    this.#normal = normalNumbers(seed);
  }

  take({ filters, perFilter }: ConvolutionShape): ConvolutionWeights {
    const deviation = Math.sqrt(2 / ((1 + LEAKY_SLOPE ** 2) * perFilter));
    const draw = (count: number, scale: number) =>
      Float32Array.from({ length: count }, () => this.#normal() * scale);
    return { weights: draw(filters * perFilter, deviation), biases: draw(filters, 0.1) };
  }

  end(): void {
    // Random numbers don't run out and can't be left over.
  }
}

/** Standard normal numbers by Marsaglia's polar method over mulberry32. */
function normalNumbers(seed: number): () => number {
  const uniform = mulberry32(seed);
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    let u = 0;
    let v = 0;
    let square = 0;
    while (square === 0 || square >= 1) {
      u = uniform() * 2 - 1;
      v = uniform() * 2 - 1;
      square = u * u + v * v;
    }
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    spare = v * factor;
    return u * factor;
  };
}

/** Uniform numbers in [0, 1) by Tommy Ettinger's 32-bit generator, which is in the public domain. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
