/**
 * The order of weights in blocked convolutions: blocks of output channels, in them blocks of input channels, in them
 * pixels. A pixel has a square of a block of input by a block of output channels. Zeros fill the last block.
 *
 * Source: onnxruntime/core/mlas/lib/reorder.cpp, MlasReorderFilterOIHWBiBo.
 */
import { elementAt, elementCount } from '../../../shared/graph/index.js';

export interface FilterSizes {
  readonly outputs: number;
  /** Input channels, a multiple of `block`. */
  readonly inputs: number;
  /** Pixels of a filter. */
  readonly pixels: number;
  /** Channels in a block. */
  readonly block: number;
}

/** @param shape of the weights of a convolution. */
export function filterSizes(shape: readonly number[], block: number): FilterSizes {
  const [outputs, inputs] = [elementAt(shape, 0), elementAt(shape, 1)];
  return { outputs, inputs, pixels: elementCount(shape.slice(2)), block };
}

/** Returns the number of output channels with those that fill the last block. */
export function paddedOutputs({ outputs, block }: FilterSizes): number {
  return Math.ceil(outputs / block) * block;
}

/** Returns the number of weights of one block of output channels. */
export function blockLength({ inputs, pixels, block }: FilterSizes): number {
  return block * inputs * pixels;
}

/**
 * Reorders the weights of one block of output channels.
 *
 * @param plain in order [outputs, inputs, pixels]. Outputs may be missing at the end.
 * @param blocked is filled wholly.
 */
export function reorderBlock(
  plain: Float32Array,
  { inputs, pixels, block }: FilterSizes,
  blocked: Float32Array,
): void {
  let at = 0;
  for (let firstInput = 0; firstInput < inputs; firstInput += block) {
    for (let pixel = 0; pixel < pixels; pixel += 1) {
      for (let input = firstInput; input < firstInput + block; input += 1) {
        for (let output = 0; output < block; output += 1) {
          blocked[at] = plain[(output * inputs + input) * pixels + pixel] ?? 0;
          at += 1;
        }
      }
    }
  }
}
