/**
 * The probes that calibration runs: small networks built from pieces of known ones, each with several plans.
 * Each kind of work takes a large part of the time in some of them.
 *
 * An untiled probe takes milliseconds on a fast machine and a fraction of a second on a small board. Its
 * weights are noise, since time doesn't depend on them.
 */
import { mulberry32 } from '../../../shared/darknet/index.js';
import type { Feature, Graph } from '../../../shared/graph/index.js';
import { elementAt, GraphBuilder } from '../../../shared/graph/index.js';

export interface Probe {
  readonly name: string;
  readonly graph: Graph;
  /** Notations of the plans it runs by. */
  readonly plans: readonly string[];
}

export function makeProbes(): readonly Probe[] {
  return [
    probe('small', 16, ['whole', 'stream1', 'stream4'], (net) =>
      net.dense(8).dense(8).point(8).dense(8).pool().dense(8).point(8),
    ),
    probe('early', 256, ['whole', 'stream2', 'stream8', '2x2', 'stream4 > 4 > stream2'], (net) =>
      net.dense(16).pool().dense(32).pool().dense(64).point(32).dense(64),
    ),
    probe('middle', 64, ['whole', 'stream2', 'stream4 > 3 > stream4'], (net) =>
      net.dense(64).dense(128).point(64).dense(128).pool().dense(192),
    ),
    probe('large', 512, ['whole', 'stream8', 'stream2'], (net) => net.point(16).pool().dense(16)),
    probe('late', 20, ['whole'], (net) => net.point(256).dense(256).point(512).dense(256).point(1024)),
    probe('deep', 10, ['whole'], (net) => net.point(512).dense(512).point(256).dense(512)),
    probe('mobile', 112, ['whole', 'stream2', 'stream8', 'stream4 > 8 > stream4'], (net) =>
      net.dense(16, 2).inverted(16).inverted(24, 2).inverted(24).inverted(32, 2).inverted(32),
    ),
    probe('mobile late', 14, ['whole'], (net) =>
      net.point(64).inverted(64).inverted(96).inverted(96).point(320),
    ),
    probe('residual', 56, ['whole', 'stream2', 'stream4'], (net) =>
      net.dense(64).block(64).block(64).pool().block(128),
    ),
    probe('moving', 128, ['whole', 'stream4'], (net) =>
      net.point(16).pool(1).relu().pool(1).relu().pool(1).relu(),
    ),
  ];
}

function probe(name: string, size: number, plans: readonly string[], extend: (net: Layers) => Layers): Probe {
  return { name, graph: extend(new Layers(size)).build(name), plans };
}

/** A chain of layers under construction. Each method appends a layer or a block of layers. */
class Layers {
  readonly #builder = new GraphBuilder();
  readonly #random = mulberry32(1);
  #map: Feature;
  #layer = -1;

  constructor(size: number) {
    this.#map = {
      tensor: this.#builder.addInput('image', [1, 3, size, size]),
      channels: 3,
      rows: size,
      cols: size,
    };
  }

  build(name: string): Graph {
    return this.#builder.build(name, [this.#map.tensor]);
  }

  dense(filters: number, stride = 1): this {
    return this.#convolve({ filters, kernel: 3, stride, groups: 1 }).relu();
  }

  point(filters: number): this {
    return this.#convolve({ filters, kernel: 1, stride: 1, groups: 1 }).relu();
  }

  pool(stride = 2): this {
    this.#layer += 1;
    const { channels, rows, cols } = this.#map;
    const made = { channels, rows: Math.ceil(rows / stride), cols: Math.ceil(cols / stride) };
    return this.#add('MaxPool', { attributes: windowOf(3, stride) }, made);
  }

  relu(): this {
    return this.#add('LeakyRelu', { attributes: { alpha: 0.1 }, floats: ['alpha'] }, this.#map);
  }

  /** MobileNetV2's inverted residual: a wide, a depthwise and a narrow Conv, added to the input if shapes agree. */
  inverted(filters: number, stride = 1): this {
    const input = this.#map;
    const hidden = 6 * input.channels;
    this.point(hidden);
    this.#convolve({ filters: hidden, kernel: 3, stride, groups: hidden }).relu();
    this.#convolve({ filters, kernel: 1, stride: 1, groups: 1 });
    return stride === 1 && filters === input.channels ? this.#join(input) : this;
  }

  /** ResNet's basic block, added to the input if shapes agree. */
  block(filters: number): this {
    const input = this.#map;
    this.dense(filters);
    this.#convolve({ filters, kernel: 3, stride: 1, groups: 1 });
    return filters === input.channels ? this.#join(input).relu() : this.relu();
  }

  #join(other: Feature): this {
    this.#layer += 1;
    return this.#add('Add', { more: [other.tensor] }, this.#map);
  }

  #convolve({ filters, kernel, stride, groups }: Convolution): this {
    this.#layer += 1;
    const { channels, rows, cols } = this.#map;
    const shape = [filters, channels / groups, kernel, kernel];
    const more = [this.#noise(shape), this.#noise([filters])];
    const attributes = { ...windowOf(kernel, stride), dilations: [1, 1], group: groups };
    const made = { channels: filters, rows: Math.ceil(rows / stride), cols: Math.ceil(cols / stride) };
    return this.#add('Conv', { more, attributes }, made);
  }

  #add(op: string, { more = [], ...spec }: Piece, { channels, rows, cols }: Omit<Feature, 'tensor'>): this {
    const inputs = [this.#map.tensor, ...more];
    this.#map = this.#builder.addMap(
      Math.max(0, this.#layer),
      { op, inputs, ...spec },
      { channels, rows, cols },
    );
    return this;
  }

  #noise(shape: readonly number[]): number {
    const count = shape.reduce((product, dim) => product * dim, 1);
    const scale = Math.sqrt(6 / (count / elementAt(shape, 0)));
    const values = Float32Array.from({ length: count }, () => (this.#random() * 2 - 1) * scale);
    return this.#builder.addConstant('weights', values, shape);
  }
}

interface Convolution {
  readonly filters: number;
  readonly kernel: number;
  readonly stride: number;
  readonly groups: number;
}

interface Piece {
  readonly more?: readonly number[];
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
  readonly floats?: readonly string[];
}

/** Window attributes with half a window of padding, so that only the stride shrinks the map. */
function windowOf(kernel: number, stride: number) {
  const pad = Math.floor(kernel / 2);
  return { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad] };
}
