/** Holds the full maps between segments, and reads and writes tiles of them. */

import { numberToHalf } from '../../../shared/graph/half-floats.js';
import { elementAt } from '../../../shared/graph/lookup.js';
import type { ImageInput, MapSpec, Region, TileWrite } from '../wire/protocol.js';
import type { TypedArray } from '../wire/typed-array.js';
import { allocate, release } from '../wire/typed-array.js';
import type { TensorData } from './onnx-runtime.js';
import type { DecodedImage } from './read-image.js';
import { RgbBytes } from './rgb-planes.js';

/** A map that tiles are read from. */
export interface TileSource {
  /** Shape of the whole map. */
  readonly shape: readonly number[];
  /** Copies a region to the start of `into`, as a tensor of the region's shape. */
  read(region: Region, into: TypedArray): void;
  /** Frees the map's memory. It can't be read any more. */
  release(): void;
}

/** A map [1, C, H, W] in memory. It holds all rows, or the last ones in a ring. */
export class TensorMap implements TileSource {
  readonly tensor: TensorData;
  readonly shape: readonly number[];

  /** @param shape of the whole map, if `tensor` is a ring of its rows. */
  constructor(tensor: TensorData, shape = tensor.shape) {
    this.tensor = tensor;
    this.shape = shape;
  }

  static ofSpec({ dtype, shape, ringRows }: MapSpec): TensorMap {
    const held = ringRows === null ? shape : shape.map((dim, axis) => (axis === 2 ? ringRows : dim));
    const length = held.reduce((product, dim) => product * dim, 1);
    return new TensorMap({ dtype, shape: held, data: allocate(dtype, length) }, shape);
  }

  read(region: Region, into: TypedArray): void {
    const width = region.colTo - region.colFrom;
    const { data } = this.tensor;
    let target = 0;
    this.#eachRun(region, (start, rows) => {
      copyRun(into, { target, source: data, start, length: rows * width });
      target += rows * width;
    });
  }

  release(): void {
    release(this.tensor.data);
  }

  /** Copies the crop of an output tile to its place. */
  write({ data, shape }: TensorData, { crop, row, col }: TileWrite): void {
    const [tileRows, tileCols] = [elementAt(shape, 2), elementAt(shape, 3)];
    const width = crop.colTo - crop.colFrom;
    const height = crop.rowTo - crop.rowFrom;
    const place = { rowFrom: row, rowTo: row + height, colFrom: col, colTo: col + width };
    this.#eachRun(place, (target, rows, { channel, at }) => {
      const start = (channel * tileRows + crop.rowFrom + at) * tileCols + crop.colFrom;
      copyRun(this.tensor.data, { target, source: data, start, length: rows * width });
    });
  }

  /**
   * Calls back with each part of a region that is contiguous in memory. Whole rows come together, up to the
   * end of a ring. `start` is the index of the part's first element, `at` its first row within the region.
   */
  #eachRun(
    { rowFrom, rowTo, colFrom, colTo }: Region,
    visit: (start: number, rows: number, place: { readonly channel: number; readonly at: number }) => void,
  ): void {
    const { shape } = this.tensor;
    const [channels, heldRows, cols] = [elementAt(shape, 1), elementAt(shape, 2), elementAt(shape, 3)];
    const isFullWidth = colTo - colFrom === cols;
    for (let channel = 0; channel < channels; channel += 1) {
      for (let row = rowFrom; row < rowTo; ) {
        const held = row % heldRows;
        const rows = isFullWidth ? Math.min(rowTo - row, heldRows - held) : 1;
        visit((channel * heldRows + held) * cols + colFrom, rows, { channel, at: row - rowFrom });
        row += rows;
      }
    }
  }
}

interface Run {
  readonly target: number;
  readonly source: TypedArray;
  readonly start: number;
  readonly length: number;
}

/** Copies elements between arrays of the same type, which the compiler guarantees. */
function copyRun(into: TypedArray, { target, source, start, length }: Run): void {
  (into as Float32Array).set(source.subarray(start, start + length) as Float32Array, target);
}

/** Channel of an image that isn't one of its colours. */
const ALPHA = 3;

/** The image as bytes. They are converted to the network's values tile by tile, so that no float copy exists. */
export class ImageMap implements TileSource {
  readonly shape: readonly number[];
  readonly #image: DecodedImage;
  /** Fast reader of the bytes; undefined for grey images. */
  readonly #rgb: RgbBytes | undefined;
  readonly #input: ImageInput;
  /** Table of the 256 values of a byte, by channel of the network's input. */
  readonly #values: readonly ByteValues[];

  constructor(image: DecodedImage, input: ImageInput) {
    const { width, height, channels } = input;
    this.#image = image;
    this.#rgb = channels === 3 ? new RgbBytes(image.data) : undefined;
    this.#input = input;
    this.shape = input.layout === 'nchw' ? [1, channels, height, width] : [1, height, width, channels];
    this.#values = Array.from({ length: channels }, (_, channel) => valuesOf(input, channel));
  }

  /** The whole image as one tensor. */
  toTensor(): TensorData {
    const { width, height, channels, dtype } = this.#input;
    const data = allocate(dtype, width * height * channels);
    this.read({ rowFrom: 0, rowTo: height, colFrom: 0, colTo: width }, data);
    return { dtype, shape: this.shape, data };
  }

  release(): void {
    release(this.#image.data);
  }

  read(region: Region, into: TypedArray): void {
    const { channels, layout, dtype } = this.#input;
    if (this.#rgb !== undefined && layout === 'nchw' && dtype === 'float32') {
      this.#readRgb(this.#rgb, region, into as Float32Array);
      return;
    }
    const pixels = (region.rowTo - region.rowFrom) * (region.colTo - region.colFrom);
    for (let channel = 0; channel < channels; channel += 1) {
      const place =
        layout === 'nchw' ? { target: channel * pixels, step: 1 } : { target: channel, step: channels };
      this.#readChannel({ channel, region, into, ...place });
    }
  }

  /** Reads an image of three channels as planes of floats, the input of nearly all networks. */
  #readRgb(rgb: RgbBytes, { rowFrom, rowTo, colFrom, colTo }: Region, into: Float32Array): void {
    const { width, channels } = this.#input;
    const columns = colTo - colFrom;
    const pixels = (rowTo - rowFrom) * columns;
    const planes = Array.from({ length: channels }, (_, plane) => this.#plane(plane));
    const values = planes.map((channel) => elementAt(this.#values, channel) as Float32Array);
    const isFullWidth = columns === width;
    const runs = isFullWidth ? 1 : rowTo - rowFrom;
    const count = isFullWidth ? pixels : columns;
    for (let run = 0; run < runs; run += 1) {
      const targets = planes.map((channel) => channel * pixels + run * columns);
      rgb.read({ first: (rowFrom + run) * width + colFrom, count }, { values, targets, into });
    }
  }

  /** Index of a channel of the network among those of the image, which are RGB. */
  #plane(channel: number): number {
    const { colorOrder, channels } = this.#input;
    return colorOrder === 'rgb' || channels === 1 || channel === ALPHA ? channel : 2 - channel;
  }

  #readChannel({ channel, region, into, target, step }: ChannelRead): void {
    const { channels, width, dtype } = this.#input;
    const bytes = this.#image.data;
    const plane = this.#plane(channel);
    const values = dtype === 'uint8' ? undefined : elementAt(this.#values, channel);
    const floats = into as Float32Array;
    let at = target;
    for (let row = region.rowFrom; row < region.rowTo; row += 1) {
      let source = (row * width + region.colFrom) * channels + plane;
      for (let col = region.colFrom; col < region.colTo; col += 1) {
        // Assertions: a checked read would cost too much for each pixel.
        const byte = bytes[source] as number;
        floats[at] = values === undefined ? byte : (values[byte] as number);
        source += channels;
        at += step;
      }
    }
  }
}

interface ChannelRead {
  readonly channel: number;
  readonly region: Region;
  readonly into: TypedArray;
  readonly target: number;
  readonly step: number;
}

/** Values of the 256 bytes: floats, or halves as bits. */
type ByteValues = Float32Array | Uint16Array;

function valuesOf({ scale, mean, std, dtype }: ImageInput, channel: number): ByteValues {
  const [offset, divisor] = [elementAt(mean, channel), elementAt(std, channel)];
  const values = Float32Array.from({ length: 256 }, (_, byte) => (byte * scale - offset) / divisor);
  return dtype === 'float16' ? Uint16Array.from(values, numberToHalf) : values;
}
