/** Finds out which of an ONNX network's inputs is the image, and how it wants its pixels. */
import type { DataType, Graph, Tensor } from '../../shared/graph/index.js';
import { elementAt, tensorAt } from '../../shared/graph/index.js';
import type { PixelRule } from '../decode/box-decoder.js';
import { ULTRALYTICS_MARGIN } from '../decode/box-decoder.js';
import type { FixedInput, InputSpec } from './manifest.js';
import type { ModelHints } from './model-hints.js';

/** What a user says of the input; the rest is found out. */
export interface InputOptions {
  readonly size?: { readonly width: number; readonly height: number };
  readonly layout?: InputSpec['layout'];
  readonly colorOrder?: InputSpec['colorOrder'];
  readonly resize?: InputSpec['resize'];
  readonly scale?: number;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
}

export interface FoundInput {
  readonly input: InputSpec;
  /** Index of the image's tensor. */
  readonly image: number;
  /** Batch that the file fixes; 1 where it is free. */
  readonly batch: number;
  /** Values of the other inputs. */
  readonly fixed: readonly FixedInput[];
  /** What was taken for what, and why, for people. */
  readonly notes: readonly string[];
}

/** @throws {RangeError} naming the input that can't be an image, and what is expected. */
export function findInput(graph: Graph, hints: ModelHints, options: InputOptions): FoundInput {
  const tensors = graph.inputs.map((index) => ({ index, tensor: tensorAt(graph, index) }));
  const images = tensors.filter(({ tensor }) => layoutOf(tensor, options.layout) !== undefined);
  const [found] = images;
  if (found === undefined || images.length !== 1) {
    const names = tensors.map(({ tensor }) => describeTensor(tensor)).join(', ');
    throw new RangeError(
      `Cannot import network: it has the inputs ${names}; expected one image [N, C, H, W] or [N, H, W, C] of 1, 3 or 4 channels, ` +
        'float32, float16 or uint8',
    );
  }
  const shape = layoutOf(found.tensor, options.layout);
  const others = tensors.filter(({ index }) => index !== found.index).map(({ tensor }) => fixedInput(tensor));
  const input = specOf(found.tensor, shape as ImageShape, { hints, options });
  return {
    input,
    image: found.index,
    batch: shape?.batch ?? 1,
    fixed: others,
    notes: others.map(describeFixed),
  };
}

interface ImageShape {
  readonly layout: InputSpec['layout'];
  readonly batch: number;
  readonly channels: InputSpec['channels'];
  readonly height: number;
  readonly width: number;
}

const CHANNELS: readonly number[] = [1, 3, 4];

/** Undefined for what is no image. Unknown dimensions are -1; an unknown number of channels is 3. */
function layoutOf(tensor: Tensor, wanted: InputSpec['layout'] | undefined): ImageShape | undefined {
  const [first, second, third, fourth, ...more] = tensor.shape ?? [];
  const isMap = second !== undefined && third !== undefined && fourth !== undefined && more.length === 0;
  if (first === undefined || !isMap || imageType(tensor.dtype) === undefined) return undefined;
  const batch = Math.max(1, first);
  const isChannels = (dim: number) => CHANNELS.includes(dim);
  const nhwc = {
    layout: 'nhwc',
    batch,
    channels: fourth as ImageShape['channels'],
    height: second,
    width: third,
  } as const;
  const nchw = {
    layout: 'nchw',
    batch,
    channels: second as ImageShape['channels'],
    height: third,
    width: fourth,
  } as const;
  if (wanted === 'nhwc') return isChannels(fourth) ? nhwc : undefined;
  if (isChannels(second)) return nchw;
  if (isChannels(fourth) && wanted === undefined) return nhwc;
  return second < 0 && wanted !== undefined ? { ...nchw, channels: 3 } : undefined;
}

function imageType(dtype: DataType): InputSpec['dtype'] | undefined {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'uint8' ? dtype : undefined;
}

interface Known {
  readonly hints: ModelHints;
  readonly options: InputOptions;
}

function specOf(image: Tensor, shape: ImageShape, { hints, options }: Known): InputSpec {
  const { layout, channels } = shape;
  const size = options.size ?? (shape.width < 1 || shape.height < 1 ? hints.imageSize : undefined);
  const { width, height } = size ?? shape;
  if (width < 1 || height < 1) {
    throw new RangeError(
      `Cannot import network: input ${describeTensor(image)} has no fixed size; give --input WIDTHxHEIGHT`,
    );
  }
  const byChannel = (values: readonly number[] | undefined, fallback: number) =>
    values ?? Array.from({ length: channels }, () => fallback);
  const resize = options.resize ?? 'stretch';
  return {
    ...{ name: image.name, width, height, channels, layout },
    dtype: imageType(image.dtype) ?? 'float32',
    resize,
    ...(resize === 'letterbox' ? { margin: ULTRALYTICS_MARGIN } : {}),
    colorOrder: options.colorOrder ?? 'rgb',
    scale: options.scale ?? 1 / 255,
    mean: byChannel(options.mean, 0),
    std: byChannel(options.std, 1),
  };
}

/** Names of inputs that hold the size of the network's input, in rows and columns. Source: PaddleDetection, YOLOv3 of the ONNX zoo. */
const SIZES = new Set(['im_shape', 'image_shape', 'orig_target_sizes', 'orig_size']);

/** An input beside the image, as a network is asked that gives its boxes in pixels of its own input. */
function fixedInput(tensor: Tensor): FixedInput {
  const { name, shape, dtype } = tensor;
  if (SIZES.has(name)) return { name, value: 'size' };
  if (name === 'scale_factor' || name === 'pixel_mask' || shape?.length === 3) return { name, value: 'ones' };
  if (dtype === 'bool') return { name, value: [0] };
  throw new RangeError(
    `Cannot import network: it has the input ${describeTensor(tensor)} beside the image, expected none or one of scale_factor, ` +
      `pixel_mask, ${[...SIZES].join(', ')}; export it with a fixed value`,
  );
}

function describeFixed({ name, value }: FixedInput): string {
  const text =
    typeof value === 'string'
      ? { ones: 'ones', size: "the input's height and width" }[value]
      : value.join(', ');
  return `input "${name}": ${text} (model.yaml, fixedInputs)`;
}

/** What was taken for the input, and why, for people. */
export function describeInput(input: InputSpec, options: InputOptions, rule: PixelRule | undefined): string {
  const { name, width, height, channels, layout, dtype, resize, colorOrder } = input;
  const colours = { 1: 'grey', 3: colorOrder, 4: `${colorOrder} and alpha` }[channels];
  const isTold = options.scale !== undefined || options.mean !== undefined || options.std !== undefined;
  const how = dtype === 'uint8' ? 'bytes as they are' : scalingText(input);
  const known = rule === undefined ? NOTHING_SAID : ` (${rule.by})`;
  const why = isTold || dtype === 'uint8' ? '' : known;
  return `input "${name}": ${width}x${height} ${colours}, ${dtype}, ${layout}, ${resize}; ${how}${why}`;
}

const NOTHING_SAID =
  ' (assumed: the file does not say how it wants its pixels; change it by mafat model set NAME input.mean, input.std, ' +
  'input.scale or input.colorOrder)';

function scalingText({ scale, mean, std }: InputSpec): string {
  const value = scale === 1 ? 'byte' : scale === 1 / 255 ? 'byte / 255' : `byte * ${scale}`;
  const isPlain = mean.every((offset) => offset === 0) && std.every((divisor) => divisor === 1);
  return isPlain ? `value = ${value}` : `value = (${value} - [${mean.join(', ')}]) / [${std.join(', ')}]`;
}

function describeTensor({ name, dtype, shape }: Tensor): string {
  return `"${name}" ${dtype} [${shape?.map((dim) => (dim < 0 ? '?' : dim)).join(', ') ?? 'unknown'}]`;
}

/** The graph whose other inputs are constants, at this size of the image. */
export function withFixedInputs(
  graph: Graph,
  { input, fixed }: { readonly input: InputSpec; readonly fixed: readonly FixedInput[] },
): Graph {
  if (fixed.length === 0) return graph;
  const tensors = graph.tensors.map((tensor) => {
    const spec = graph.inputs.includes(graph.tensors.indexOf(tensor))
      ? fixed.find(({ name }) => name === tensor.name)
      : undefined;
    return spec === undefined ? tensor : constantOf(tensor, spec, input);
  });
  return {
    ...graph,
    tensors,
    inputs: graph.inputs.filter((index) => elementAt(tensors, index).constant === null),
  };
}

/** Free dimensions are 1, or the image's height and width where there are three. */
export function constantOf(
  tensor: Tensor,
  { name, value }: FixedInput,
  { height, width }: InputSpec,
): Tensor {
  const free = tensor.shape?.length === 3 ? [1, height, width] : [1, 1, 1, 1];
  const shape = (tensor.shape ?? [1]).map((dim, axis) => (dim < 0 ? elementAt(free, axis) : dim));
  const length = shape.reduce((product, dim) => product * dim, 1);
  const values = value === 'ones' ? [1] : value === 'size' ? [height, width] : value;
  if (length % values.length !== 0) {
    throw new RangeError(
      `Cannot use the model: input "${name}" takes ${length} values, fixedInputs gives ${values.length} (model.yaml)`,
    );
  }
  const all = Array.from({ length }, (_, at) => elementAt(values, at % values.length));
  return { ...tensor, shape, constant: { kind: 'inline', bytes: bytesOf(all, tensor.dtype) } };
}

function bytesOf(values: readonly number[], dtype: DataType): Uint8Array {
  switch (dtype) {
    case 'float32':
      return new Uint8Array(Float32Array.from(values).buffer);
    case 'int64':
      return new Uint8Array(BigInt64Array.from(values, (value) => BigInt(Math.round(value))).buffer);
    case 'int32':
      return new Uint8Array(Int32Array.from(values).buffer);
    case 'bool':
    case 'uint8':
      return Uint8Array.from(values);
    default:
      throw new RangeError(`Cannot use the model: an input of ${dtype} has no fixed value`);
  }
}
