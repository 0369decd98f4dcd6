/**
 * Reads a Darknet .weights file. After a header each convolution has its biases, then scales, means and variances
 * if it is batch normalised, then its filters. All are float32, little-endian.
 * Source: Darknet's parser.c, load_weights_upto and load_convolutional_weights.
 */
import { elementAt, scaleValues } from '../graph/index.js';

/** Number that batch normalisation adds to the variance. Source: AlexeyAB's blas.c, normalize_cpu. */
const EPSILON = 1e-5;

export interface ConvolutionShape {
  readonly layer: number;
  readonly filters: number;
  /** Number of weights of a filter: channels / groups * size * size. */
  readonly perFilter: number;
  readonly batchNormalize: boolean;
}

/** Weights and biases of a convolution. Batch normalisation is folded into them. */
export interface ConvolutionWeights {
  readonly weights: Float32Array;
  readonly biases: Float32Array;
}

/** Source of a network's weights. The convolutions take theirs in order. */
export interface WeightSource {
  take(shape: ConvolutionShape): ConvolutionWeights;
  /** Ends the reading after the last convolution. @throws {SyntaxError} if weights are left over. */
  end(): void;
}

export class DarknetWeightsFile implements WeightSource {
  readonly #floats: Float32Array;
  #next = 0;
  #lastLayer = -1;

  /** @param bytes the whole file, whose filters are scaled in place. @throws {SyntaxError} if it is cut off. */
  constructor(bytes: Uint8Array) {
    const header = headerBytes(bytes);
    const body = bytes.subarray(header);
    const whole = body.byteLength - (body.byteLength % 4);
    const aligned = body.byteOffset % 4 === 0 ? body : new Uint8Array(body);
    this.#floats = new Float32Array(aligned.buffer, aligned.byteOffset, whole / 4);
    if (whole !== body.byteLength) {
      throw new SyntaxError(
        `Cannot read Darknet weights: ${body.byteLength} bytes follow the header, expected a multiple of 4`,
      );
    }
  }

  take(shape: ConvolutionShape): ConvolutionWeights {
    const { filters, perFilter, batchNormalize } = shape;
    this.#lastLayer = shape.layer;
    const needed = filters * (perFilter + (batchNormalize ? 4 : 1));
    const left = this.#floats.length - this.#next;
    if (left < needed) {
      throw new SyntaxError(
        `Cannot read Darknet weights of layer ${shape.layer} [convolutional]: ${left} floats left, expected ${needed}`,
      );
    }
    const biases = this.#floatsOf(filters);
    if (!batchNormalize) return { biases, weights: this.#floatsOf(filters * perFilter) };
    const norm = {
      scales: this.#floatsOf(filters),
      means: this.#floatsOf(filters),
      variances: this.#floatsOf(filters),
    };
    const weights = this.#floatsOf(filters * perFilter);
    foldNormalization({ weights, biases, ...norm });
    return { weights, biases };
  }

  end(): void {
    const left = this.#floats.length - this.#next;
    if (left === 0) return;
    throw new SyntaxError(
      `Cannot read Darknet weights: ${left} floats left over after layer ${this.#lastLayer}, the last [convolutional]; expected none`,
    );
  }

  #floatsOf(count: number): Float32Array {
    this.#next += count;
    return this.#floats.subarray(this.#next - count, this.#next);
  }
}

/** Length of the header. Its count of training images has 64 bits from version 0.2 on, 32 before. */
function headerBytes(bytes: Uint8Array): number {
  if (bytes.byteLength < 20) {
    throw new SyntaxError(
      `Cannot read Darknet weights: the file has ${bytes.byteLength} bytes, expected a header of 20`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const major = view.getInt32(0, true);
  const minor = view.getInt32(4, true);
  if (major < 0 || minor < 0 || major > 1000 || minor > 1000) {
    throw new SyntaxError(
      `Cannot read Darknet weights: file version is ${major}.${minor}, expected 0.1 or 0.2`,
    );
  }
  return major * 10 + minor >= 2 ? 20 : 16;
}

interface Normalization extends ConvolutionWeights {
  readonly scales: Float32Array;
  readonly means: Float32Array;
  readonly variances: Float32Array;
}

function foldNormalization({ weights, biases, scales, means, variances }: Normalization): void {
  const perFilter = weights.length / biases.length;
  for (let filter = 0; filter < biases.length; filter += 1) {
    const factor = elementAt(scales, filter) / Math.sqrt(elementAt(variances, filter) + EPSILON);
    biases[filter] = elementAt(biases, filter) - elementAt(means, filter) * factor;
    scaleValues(weights.subarray(filter * perFilter, (filter + 1) * perFilter), factor);
  }
}
