/**
 * Image to image, such as super resolution, style transfer and denoising: [1, channels, rows, cols] or
 * [1, rows, cols, channels] of one or three channels. Which values are black and white is in model.yaml, else they are what the
 * input's scaling makes of the bytes 0 and 255.
 */
import { choice, list, map, number, orDefault, text } from '../../shared/rules/index.js';
import type { ImageInput } from '../engine/wire/protocol.js';
import type { Picture } from '../picture/encode-png.js';
import type { NetworkFacts, OutputShape, OutputValues } from './box-decoder.js';
import { misfit } from './box-decoder.js';
import type { ShownCells } from './shown-cells.js';

export interface ImageSpec {
  readonly kind: 'image';
  readonly output: string;
  readonly layout: 'nchw' | 'nhwc';
  /** Values that are shown black and white, by channel or one for all; absent for the inverse of the input's scaling. */
  readonly black?: readonly number[] | undefined;
  readonly white?: readonly number[] | undefined;
}

const byChannel = orDefault(
  list(number(), { least: 1, most: 3, expected: 'one number, or one for each channel' }),
  undefined,
);

export const imageDecoder = {
  kind: 'image',
  reads: '[1, 1 or 3, rows, cols] or [1, rows, cols, 1 or 3]',
  schema: map({
    kind: choice(['image']),
    output: text(),
    layout: choice(['nchw', 'nhwc']),
    black: byChannel,
    white: byChannel,
  }),
  recognise,
} as const;

/**
 * One picture with the input's channels, whose sides are the same multiple of the input's. A grey one of the input's size could
 * as well be a mask, and that of a network with labels its classes; these have to be named.
 */
function recognise({
  outputs,
  channels,
  labels,
  endsOf,
  isTold,
  ...size
}: NetworkFacts): ImageSpec | undefined {
  const [output, ...others] = outputs;
  if (output === undefined || output.dtype === 'string' || (others.length > 0 && !isTold)) return undefined;
  const found = layoutsOf(output).find(({ planes }) => planes === 1 || planes === 3);
  if (found === undefined) return undefined;
  const factor = found.rows / size.height;
  const isScaled = Number.isInteger(factor) && found.cols === factor * size.width;
  const isPicture = found.planes === channels && (found.planes === 3 || factor > 1);
  const isSure = isScaled && isPicture && labels === undefined && !endsOf(output.name).includes('softmax');
  return isSure || isTold ? { kind: 'image', output: output.name, layout: found.layout } : undefined;
}

interface Layout {
  readonly layout: ImageSpec['layout'];
  readonly planes: number;
  readonly rows: number;
  readonly cols: number;
}

function layoutsOf({ shape }: Pick<OutputShape, 'shape'>): readonly Layout[] {
  const [batch, first, second, third, ...more] = shape;
  if (batch !== 1 || first === undefined || second === undefined || third === undefined || more.length > 0)
    return [];
  return [
    { layout: 'nchw', planes: first, rows: second, cols: third },
    { layout: 'nhwc', planes: third, rows: first, cols: second },
  ];
}

/** @throws {RangeError} naming the output, if it is no picture. */
export function pictureSize(spec: ImageSpec, output: Pick<OutputShape, 'shape'>): Layout {
  const found = layoutsOf(output).find(({ layout }) => layout === spec.layout);
  if (found !== undefined && (found.planes === 1 || found.planes === 3)) return found;
  throw misfit(spec.output, output.shape, imageDecoder.reads);
}

/** How bytes became values of the input, as far as it is known. */
export type InputScaling = Partial<Pick<ImageInput, 'scale' | 'mean' | 'std' | 'colorOrder' | 'dtype'>>;

export interface PictureOptions {
  readonly cells: ShownCells['cells'];
  readonly input: InputScaling;
}

/** Rows of the picture are made of the output's values when they are asked for. Values beyond black and white are cut off. */
export function showImage(spec: ImageSpec, output: OutputValues, { cells, input }: PictureOptions): Picture {
  const { planes, rows, cols, layout } = pictureSize(spec, output);
  const channels = planes === 1 ? 1 : 3;
  const [valueStep, cellStep] = layout === 'nchw' ? [rows * cols, 1] : [1, planes];
  const lines = Array.from({ length: channels }, (_, channel) => byteLine(spec, input, channel));
  // Channels are in the input's order, and in a PNG red comes first.
  const isTurned = channels === 3 && input.colorOrder === 'bgr';
  const bytes = new Uint8ClampedArray(cells.width * channels);
  const row = (y: number) => {
    for (const [channel, { offset, factor }] of lines.entries()) {
      const shown = isTurned ? channels - 1 - channel : channel;
      const start = ((cells.top + y) * cols + cells.left) * cellStep + channel * valueStep;
      for (let x = 0; x < cells.width; x += 1)
        bytes[x * channels + shown] = ((output.values[start + x * cellStep] as number) - offset) * factor;
    }
    return new Uint8Array(bytes.buffer);
  };
  return { width: cells.width, height: cells.height, channels, row };
}

interface Line {
  readonly offset: number;
  readonly factor: number;
}

/** byte = (value - offset) * factor. */
function byteLine({ black, white }: ImageSpec, input: InputScaling, channel: number): Line {
  const low = ofChannel(black, channel) ?? scaled(0, input, channel);
  const high = ofChannel(white, channel) ?? scaled(255, input, channel);
  return { offset: low, factor: 255 / (high - low) };
}

function ofChannel(values: readonly number[] | undefined, channel: number): number | undefined {
  return values?.[channel] ?? values?.[0];
}

/** What a byte is in the input: itself for inputs of bytes. */
function scaled(byte: number, { scale = 1 / 255, mean, std, dtype }: InputScaling, channel: number): number {
  if (dtype === 'uint8') return byte;
  return (byte * scale - (ofChannel(mean, channel) ?? 0)) / (ofChannel(std, channel) ?? 1);
}
