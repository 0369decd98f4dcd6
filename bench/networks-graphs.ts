/**
 * Builds MobileNetV2 and ResNet-18 as graphs with random weights of He's variance. Batch normalisation is folded.
 * Sources: Sandler et al., MobileNetV2, table 2 and section 6.1; He et al., Deep Residual Learning, table 1.
 */
import { mulberry32 } from '../shared/darknet/index.js';
import type { Feature, Graph } from '../shared/graph/index.js';
import { elementAt, GraphBuilder } from '../shared/graph/index.js';

const CLASSES = 1000;

interface ConvolutionSpec {
  readonly filters: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
}

interface WindowSpec {
  readonly kernel: number;
  readonly stride: number;
}

/** Adds layers, which are numbered in order. An activation belongs to the layer before it. */
export class LayerBuilder {
  readonly #builder = new GraphBuilder();
  readonly #random: () => number;
  #layer = -1;

  constructor(seed: number) {
    this.#random = mulberry32(seed);
  }

  image(size: number): Feature {
    const tensor = this.#builder.addInput('image', [1, 3, size, size]);
    return { tensor, channels: 3, rows: size, cols: size };
  }

  convolution(input: Feature, { filters, kernel, stride = 1, groups = 1 }: ConvolutionSpec): Feature {
    this.#layer += 1;
    const shape = [filters, input.channels / groups, kernel, kernel];
    const inputs = [input.tensor, this.#weights(shape), this.#weights([filters])];
    const attributes = { ...windowOf({ kernel, stride }), dilations: [1, 1], group: groups };
    return this.#map('Conv', { inputs, attributes }, shrunk({ ...input, channels: filters }, stride));
  }

  maxPool(input: Feature, window: WindowSpec): Feature {
    this.#layer += 1;
    return this.#map(
      'MaxPool',
      { inputs: [input.tensor], attributes: windowOf(window) },
      shrunk(input, window.stride),
    );
  }

  relu(input: Feature): Feature {
    return this.#map('Relu', { inputs: [input.tensor] }, input);
  }

  relu6(input: Feature): Feature {
    const bound = (value: number) => this.#builder.addConstant(`relu6.${value}`, Float32Array.of(value), []);
    return this.#map('Clip', { inputs: [input.tensor, bound(0), bound(6)] }, input);
  }

  /** x * sigmoid(x) */
  silu(input: Feature): Feature {
    const gate = this.#map('Sigmoid', { inputs: [input.tensor] }, input);
    return this.#map('Mul', { inputs: [input.tensor, gate.tensor] }, input);
  }

  add(left: Feature, right: Feature): Feature {
    this.#layer += 1;
    return this.#map('Add', { inputs: [left.tensor, right.tensor] }, left);
  }

  /** Joins the channels of maps of one size. */
  concat(maps: readonly Feature[]): Feature {
    this.#layer += 1;
    const channels = maps.reduce((sum, map) => sum + map.channels, 0);
    const inputs = maps.map(({ tensor }) => tensor);
    return this.#map('Concat', { inputs, attributes: { axis: 1 } }, { ...elementAt(maps, 0), channels });
  }

  /** Repeats each pixel twice along both axes. */
  upsample(input: Feature): Feature {
    this.#layer += 1;
    const scales = this.#builder.addConstant('scales', Float32Array.of(1, 1, 2, 2), [4]);
    const attributes = {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    };
    const { rows, cols } = input;
    const doubled = { ...input, rows: 2 * rows, cols: 2 * cols };
    return this.#map('Resize', { inputs: [input.tensor, -1, scales], attributes }, doubled);
  }

  /** @returns the whole graph. */
  build(outputs: readonly Feature[]): Graph {
    return this.#builder.build(
      'synthetic',
      outputs.map(({ tensor }) => tensor),
    );
  }

  /** Adds a global average and a linear layer. @returns the whole graph. */
  classify(input: Feature): Graph {
    this.#layer += 1;
    const pooled = this.#map('GlobalAveragePool', { inputs: [input.tensor] }, { ...input, rows: 1, cols: 1 });
    const scores = this.convolution(pooled, { filters: CLASSES, kernel: 1 });
    const flat = { dtype: 'float32', shape: [1, CLASSES] } as const;
    return this.#builder.build('synthetic', [
      this.#builder.addNode(this.#layer, { op: 'Flatten', inputs: [scores.tensor] }, flat),
    ]);
  }

  #map(
    op: string,
    spec: Omit<Parameters<GraphBuilder['addMap']>[1], 'op'>,
    { channels, rows, cols }: Omit<Feature, 'tensor'>,
  ): Feature {
    return this.#builder.addMap(this.#layer, { op, ...spec }, { channels, rows, cols });
  }

  #weights(shape: readonly number[]): number {
    const count = shape.reduce((product, dim) => product * dim, 1);
    const fanIn = count / elementAt(shape, 0);
    const scale = shape.length === 1 ? 0.1 : Math.sqrt(6 / fanIn);
    const values = Float32Array.from({ length: count }, () => (this.#random() * 2 - 1) * scale);
    return this.#builder.addConstant(`weights${this.#layer}`, values, shape);
  }
}

function windowOf({ kernel, stride }: WindowSpec) {
  const pad = Math.floor(kernel / 2);
  return { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad] };
}

/** Map after a window. The padding is half the kernel, so the stride alone decides the size. */
function shrunk(feature: Feature, stride: number): Feature {
  const less = (size: number) => Math.ceil(size / stride);
  return { ...feature, rows: less(feature.rows), cols: less(feature.cols) };
}

/** Stages of MobileNetV2: expansion, channels, number of blocks and stride of the first block. */
const MOBILE_STAGES = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

export interface NetworkOptions {
  /** Side of the square image in pixels. */
  readonly size: number;
  readonly seed: number;
  /** Factor on the number of blocks in each stage; 1 if absent. */
  readonly depth?: number;
}

/** @param width factor on all channels. */
export function mobileNetV2(width: number, { size, seed, depth = 1 }: NetworkOptions): Graph {
  const layers = new LayerBuilder(seed);
  const stem = { filters: divisible(32 * width), kernel: 3, stride: 2 };
  let map = layers.relu6(layers.convolution(layers.image(size), stem));
  for (const [expansion, channels, blocks, stride] of MOBILE_STAGES) {
    for (let block = 0; block < depth * blocks; block += 1) {
      const spec = { expansion, filters: divisible(channels * width), stride: block === 0 ? stride : 1 };
      map = invertedResidual(layers, map, spec);
    }
  }
  const last = { filters: Math.max(1280, divisible(1280 * width)), kernel: 1 };
  return layers.classify(layers.relu6(layers.convolution(map, last)));
}

interface ResidualSpec {
  readonly expansion: number;
  readonly filters: number;
  readonly stride: number;
}

function invertedResidual(
  layers: LayerBuilder,
  input: Feature,
  { expansion, filters, stride }: ResidualSpec,
): Feature {
  const hidden = input.channels * expansion;
  const wide =
    expansion === 1 ? input : layers.relu6(layers.convolution(input, { filters: hidden, kernel: 1 }));
  const depthwise = { filters: hidden, kernel: 3, stride, groups: hidden };
  const narrow = layers.convolution(layers.relu6(layers.convolution(wide, depthwise)), {
    filters,
    kernel: 1,
  });
  return stride === 1 && filters === input.channels ? layers.add(narrow, input) : narrow;
}

/** Multiple of 8 near a number of channels, at most a tenth below it. */
function divisible(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

export function resNet18({ size, seed }: NetworkOptions): Graph {
  const layers = new LayerBuilder(seed);
  const stem = layers.convolution(layers.image(size), { filters: 64, kernel: 7, stride: 2 });
  let map = layers.maxPool(layers.relu(stem), { kernel: 3, stride: 2 });
  for (const filters of [64, 128, 256, 512]) {
    map = basicBlock(layers, map, { filters, stride: filters === 64 ? 1 : 2 });
    map = basicBlock(layers, map, { filters, stride: 1 });
  }
  return layers.classify(map);
}

function basicBlock(
  layers: LayerBuilder,
  input: Feature,
  { filters, stride }: Omit<ResidualSpec, 'expansion'>,
): Feature {
  const first = layers.relu(layers.convolution(input, { filters, kernel: 3, stride }));
  const second = layers.convolution(first, { filters, kernel: 3 });
  const skipped = stride === 1 ? input : layers.convolution(input, { filters, kernel: 1, stride });
  return layers.relu(layers.add(second, skipped));
}
