/**
 * Darknet sections -> graph. One function per kind of section; what a later `route` or `shortcut` refers to
 * is kept by layer. Detection heads (`region`, `yolo`) end in graph outputs that the agent decodes.
 * Source: the make_*_layer and forward_*_layer functions of Darknet.
 */
import type { Window } from './axis-rule.js';
import { windowRowsOut } from './axis-rule.js';
import type { DarknetSection } from './darknet-config.js';
import { badOption, describeSection, floatOption, intOption, listOption } from './darknet-config.js';
import type { DetectionHead } from './darknet-heads.js';
import { readRegionHead, readYoloHead } from './darknet-heads.js';
import { checkKeys } from './darknet-keys.js';
import type { WeightSource } from './darknet-weights.js';
import type { Graph } from './graph.js';
import type { Feature, NodeSpec } from './graph-builder.js';
import { GraphBuilder } from './graph-builder.js';

export interface DarknetNetwork {
  readonly graph: Graph;
  readonly heads: readonly DetectionHead[];
  /** Whether the network ends in class probabilities. */
  readonly classifies: boolean;
  /** Whether Darknet would keep the aspect ratio of the image (`letter_box=1`). */
  readonly letterbox: boolean;
}

export interface DarknetOptions {
  readonly weights: WeightSource;
  /** Replaces `width` and `height` of [net]. */
  readonly size?: { readonly width: number; readonly height: number };
  readonly name?: string;
}

interface BuildState {
  readonly builder: GraphBuilder;
  readonly weights: WeightSource;
  readonly net: { readonly width: number; readonly height: number };
  /** Output of every layer so far. */
  readonly features: Feature[];
  readonly heads: DetectionHead[];
  readonly outputs: number[];
}

type BuildLayer = (state: BuildState, section: DarknetSection, input: Feature) => Feature;

/** @throws {SyntaxError} naming the section, key or layer that can't be imported. */
export function buildDarknet(sections: readonly DarknetSection[], options: DarknetOptions): DarknetNetwork {
  for (const section of sections) checkKeys(section);
  const [net, ...layers] = sections;
  if (net === undefined || layers.length === 0) throw new SyntaxError('Cannot import Darknet config: it has no layers');
  const builder = new GraphBuilder();
  const input = addImage(builder, net, options);
  const state: BuildState = {
    builder,
    weights: options.weights,
    net: { width: input.cols, height: input.rows },
    features: [],
    heads: [],
    outputs: [],
  };
  for (const section of layers) {
    state.features.push(buildLayer(state, section, state.features.at(-1) ?? input));
  }
  options.weights.end();
  const last = state.features.at(-1);
  if (last !== undefined && state.heads.length === 0) state.outputs.push(last.tensor);
  return {
    graph: builder.build(options.name ?? 'darknet', state.outputs),
    heads: state.heads,
    classifies: layers.at(-1)?.kind === 'softmax',
    letterbox: intOption(net, 'letter_box', { fallback: 0 }) === 1,
  };
}

function addImage(builder: GraphBuilder, net: DarknetSection, { size }: DarknetOptions): Feature {
  const channels = intOption(net, 'channels', { fallback: 3, min: 1 });
  const rows = size?.height ?? intOption(net, 'height', { fallback: 0, min: 1 });
  const cols = size?.width ?? intOption(net, 'width', { fallback: 0, min: 1 });
  return { tensor: builder.addInput('image', [1, channels, rows, cols]), channels, rows, cols };
}

const LAYERS: Readonly<Record<string, BuildLayer>> = {
  convolutional: buildConvolution,
  maxpool: buildMaxPool,
  avgpool: buildAveragePool,
  route: buildRoute,
  shortcut: buildShortcut,
  upsample: buildUpsample,
  reorg: buildReorg,
  dropout: (_state, _section, input) => input,
  softmax: buildSoftmax,
  region: (state, section, input) => addHead(state, input, readRegionHead(section, input)),
  yolo: (state, section, input) => addHead(state, input, readYoloHead(section, { ...input, net: state.net })),
};

function buildLayer(state: BuildState, section: DarknetSection, input: Feature): Feature {
  const build = LAYERS[section.kind];
  if (build === undefined) throw new SyntaxError(`Cannot import ${describeSection(section)}: not a layer`);
  const output = build(state, section, input);
  if (output.rows < 1 || output.cols < 1) {
    throw new SyntaxError(
      `Cannot import ${describeSection(section)}: its map would be ${output.cols}x${output.rows}, expected at least 1x1; ` +
        `the network needs a larger input than ${state.net.width}x${state.net.height}`,
    );
  }
  return output;
}

function buildConvolution(state: BuildState, section: DarknetSection, input: Feature): Feature {
  const { builder } = state;
  const { layer } = section;
  const filters = intOption(section, 'filters', { fallback: 1, min: 1 });
  const groups = intOption(section, 'groups', { fallback: 1, min: 1 });
  const size = intOption(section, 'size', { fallback: 1, min: 1 });
  if (input.channels % groups !== 0 || filters % groups !== 0) {
    throw badOption(section, 'groups', `a divisor of ${input.channels} channels and ${filters} filters`);
  }
  const channels = input.channels / groups;
  const batchNormalize = intOption(section, 'batch_normalize', { fallback: 0 }) !== 0;
  const { weights, biases } = state.weights.take({
    layer,
    filters,
    perFilter: channels * size * size,
    batchNormalize,
  });
  const window = convolutionWindow(section, size);
  const convolved = builder.addMap(
    layer,
    {
      op: 'Conv',
      inputs: [
        input.tensor,
        builder.addConstant(`${layer}/weights`, weights, [filters, channels, size, size]),
        builder.addConstant(`${layer}/biases`, biases, [filters]),
      ],
      attributes: {
        kernel_shape: [size, size],
        strides: [window.rows.stride, window.cols.stride],
        dilations: [window.rows.dilation, window.cols.dilation],
        pads: [window.rows.padBegin, window.cols.padBegin, window.rows.padEnd, window.cols.padEnd],
        group: groups,
      },
    },
    { channels: filters, rows: windowRowsOut(input.rows, window.rows), cols: windowRowsOut(input.cols, window.cols) },
  );
  return activate(state, section, { feature: convolved, fallback: 'logistic' });
}

interface Windows {
  readonly rows: Window;
  readonly cols: Window;
}

function convolutionWindow(section: DarknetSection, size: number): Windows {
  const dilation = size === 1 ? 1 : intOption(section, 'dilation', { fallback: 1, min: 1 });
  const half = intOption(section, 'pad', { fallback: 0 }) !== 0;
  const padding = (half ? Math.floor(size / 2) : intOption(section, 'padding', { fallback: 0 })) * dilation;
  const window = { kernel: size, dilation, padBegin: padding, padEnd: padding };
  const stride = strides(section, 1);
  return { rows: { ...window, stride: stride.rows }, cols: { ...window, stride: stride.cols } };
}

function strides(section: DarknetSection, fallback: number): { rows: number; cols: number } {
  const both = intOption(section, 'stride', { fallback, min: 1 });
  return {
    rows: intOption(section, 'stride_y', { fallback: both, min: 1 }),
    cols: intOption(section, 'stride_x', { fallback: both, min: 1 }),
  };
}

/** Padding defaults to size - 1, the smaller half before the map: a pool of size 2, stride 1 keeps the size. */
function buildMaxPool(state: BuildState, section: DarknetSection, input: Feature): Feature {
  const stride = strides(section, 1);
  const size = intOption(section, 'size', { fallback: Math.max(stride.rows, stride.cols), min: 1 });
  const padding = intOption(section, 'padding', { fallback: size - 1 });
  if (Math.ceil(padding / 2) >= size) throw badOption(section, 'padding', `less than ${2 * size - 1}`);
  const before = Math.floor(padding / 2);
  const window = { kernel: size, dilation: 1, padBegin: before, padEnd: padding - before };
  return state.builder.addMap(
    section.layer,
    {
      op: 'MaxPool',
      inputs: [input.tensor],
      attributes: {
        kernel_shape: [size, size],
        strides: [stride.rows, stride.cols],
        pads: [window.padBegin, window.padBegin, window.padEnd, window.padEnd],
      },
    },
    {
      channels: input.channels,
      rows: windowRowsOut(input.rows, { ...window, stride: stride.rows }),
      cols: windowRowsOut(input.cols, { ...window, stride: stride.cols }),
    },
  );
}

function buildAveragePool({ builder }: BuildState, { layer }: DarknetSection, input: Feature): Feature {
  const spec = { op: 'GlobalAveragePool', inputs: [input.tensor] };
  return builder.addMap(layer, spec, { channels: input.channels, rows: 1, cols: 1 });
}

function buildRoute(state: BuildState, section: DarknetSection, _input: Feature): Feature {
  const groups = intOption(section, 'groups', { fallback: 1, min: 1 });
  const group = intOption(section, 'group_id', { fallback: 0 });
  const sources = listOption(section, 'layers').map((at) => featureAt(state, section, { key: 'layers', at }));
  const [first] = sources;
  if (first === undefined) throw badOption(section, 'layers', 'at least one layer');
  if (sources.some(({ rows, cols }) => rows !== first.rows || cols !== first.cols)) {
    const sizes = sources.map(({ rows, cols }) => `${cols}x${rows}`).join(', ');
    throw badOption(section, 'layers', `layers of the same size, these are ${sizes}`);
  }
  const parts = sources.map((source) => {
    if (source.channels % groups !== 0 || group >= groups) {
      throw badOption(section, 'groups', `a divisor of ${source.channels} channels above group_id=${group}`);
    }
    const channels = source.channels / groups;
    return groups === 1 ? source : sliceChannels(state, section, { source, from: group * channels, channels });
  });
  const [part] = parts;
  if (parts.length === 1 && part !== undefined) return part;
  const channels = parts.reduce((sum, item) => sum + item.channels, 0);
  const spec = { op: 'Concat', inputs: parts.map(({ tensor }) => tensor), attributes: { axis: 1 } };
  return state.builder.addMap(section.layer, spec, { ...first, channels });
}

/** Layers are counted from the start, or backwards from this one if negative. */
function featureAt(state: BuildState, section: DarknetSection, { key, at }: { key: string; at: number }): Feature {
  const feature = state.features[at < 0 ? section.layer + at : at];
  if (feature === undefined) throw badOption(section, key, `layers before ${section.layer}`);
  return feature;
}

interface ChannelSlice {
  readonly source: Feature;
  readonly from: number;
  readonly channels: number;
}

function sliceChannels({ builder }: BuildState, { layer }: DarknetSection, slice: ChannelSlice): Feature {
  const { source, from, channels } = slice;
  const bound = (name: string, value: number) =>
    builder.addConstant(`${layer}/${source.tensor}/${name}`, BigInt64Array.of(BigInt(value)), [1]);
  const inputs = [source.tensor, bound('starts', from), bound('ends', from + channels), bound('axes', 1)];
  return builder.addMap(layer, { op: 'Slice', inputs }, { ...source, channels });
}

/**
 * Adds an earlier layer. Darknet adds what the two have in common: the earlier layer is sampled by the
 * stride between the sizes, surplus channels are ignored, missing ones count as zero (shortcut_cpu).
 */
function buildShortcut(state: BuildState, section: DarknetSection, input: Feature): Feature {
  const sum = listOption(section, 'from').reduce((total: Feature, at) => {
    const other = matchShortcut(state, section, { total, other: featureAt(state, section, { key: 'from', at }) });
    return state.builder.addMap(section.layer, { op: 'Add', inputs: [total.tensor, other.tensor] }, total);
  }, input);
  if (sum === input) throw badOption(section, 'from', 'a layer');
  return activate(state, section, { feature: sum, fallback: 'linear' });
}

interface ShortcutPair {
  readonly total: Feature;
  readonly other: Feature;
}

function matchShortcut(state: BuildState, section: DarknetSection, { total, other }: ShortcutPair): Feature {
  const { builder } = state;
  const { layer } = section;
  const stride = Math.floor(other.cols / total.cols);
  if (stride < 1 || stride !== Math.floor(other.rows / total.rows)) {
    throw badOption(section, 'from', `a layer no smaller than ${total.cols}x${total.rows}, it is ${other.cols}x${other.rows}`);
  }
  const sampled =
    stride === 1
      ? other
      : builder.addMap(
          layer,
          { op: 'MaxPool', inputs: [other.tensor], attributes: { kernel_shape: [1, 1], strides: [stride, stride] } },
          { ...other, rows: Math.ceil(other.rows / stride), cols: Math.ceil(other.cols / stride) },
        );
  if (sampled.rows !== total.rows || sampled.cols !== total.cols) {
    throw badOption(section, 'from', `a layer whose size is a multiple of ${total.cols}x${total.rows}`);
  }
  if (sampled.channels > total.channels) {
    return sliceChannels(state, section, { source: sampled, from: 0, channels: total.channels });
  }
  return sampled.channels === total.channels ? sampled : padChannels(state, section, { source: sampled, channels: total.channels });
}

function padChannels(
  { builder }: BuildState,
  { layer }: DarknetSection,
  { source, channels }: { source: Feature; channels: number },
): Feature {
  const pads = BigInt64Array.of(0n, 0n, 0n, 0n, 0n, BigInt(channels - source.channels), 0n, 0n);
  const inputs = [source.tensor, builder.addConstant(`${layer}/${source.tensor}/pads`, pads, [8])];
  return builder.addMap(layer, { op: 'Pad', inputs }, { ...source, channels });
}

function buildUpsample({ builder }: BuildState, section: DarknetSection, input: Feature): Feature {
  const factor = intOption(section, 'stride', { fallback: 2, min: 1 });
  const scales = builder.addConstant(`${section.layer}/scales`, Float32Array.of(1, 1, factor, factor), [4]);
  return builder.addMap(
    section.layer,
    {
      op: 'Resize',
      inputs: [input.tensor, -1, scales],
      attributes: { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
    },
    { ...input, rows: input.rows * factor, cols: input.cols * factor },
  );
}

/**
 * Darknet's reorg is not SpaceToDepth: it views the C x H x W map as C/s^2 x Hs x Ws, moves space to depth
 * there, and views the C x H x W result as Cs^2 x H/s x W/s (reorg_cpu with forward = 0). The views change
 * the order of rows, so it is a barrier. Shapes are computed in the graph, to hold at any input size.
 */
function buildReorg({ builder }: BuildState, section: DarknetSection, input: Feature): Feature {
  const { layer } = section;
  const stride = intOption(section, 'stride', { fallback: 1, min: 1 });
  const { channels, rows, cols } = input;
  if (channels % stride ** 2 !== 0 || rows % stride !== 0 || cols % stride !== 0) {
    throw badOption(section, 'stride', `a stride whose square divides ${channels} channels and that divides ${cols}x${rows}`);
  }
  const factor = builder.addConstant(`${layer}/stride`, BigInt64Array.of(BigInt(stride), BigInt(stride)), [2]);
  const vector = (op: string, inputs: readonly number[], length: number) =>
    builder.addNode(layer, { op, inputs, attributes: op === 'Concat' ? { axis: 0 } : {} }, { dtype: 'int64', shape: [length] });
  const size = builder.addNode(
    layer,
    { op: 'Shape', inputs: [input.tensor], attributes: { start: 2, end: 4 } },
    { dtype: 'int64', shape: [2] },
  );
  const view = (source: Feature, { op, feature }: { op: string; feature: Omit<Feature, 'tensor'> }) => {
    const head = builder.addConstant(`${layer}/${op}/channels`, BigInt64Array.of(1n, BigInt(feature.channels)), [2]);
    const shape = vector('Concat', [head, vector(op, [size, factor], 2)], 4);
    return builder.addMap(layer, { op: 'Reshape', inputs: [source.tensor, shape] }, feature);
  };
  const larger = { channels: channels / stride ** 2, rows: rows * stride, cols: cols * stride };
  const spread = view(input, { op: 'Mul', feature: larger });
  const spec: NodeSpec = { op: 'SpaceToDepth', inputs: [spread.tensor], attributes: { blocksize: stride } };
  const packed = builder.addMap(layer, spec, { channels, rows, cols });
  const smaller = { channels: channels * stride ** 2, rows: rows / stride, cols: cols / stride };
  return view(packed, { op: 'Div', feature: smaller });
}

function buildSoftmax({ builder }: BuildState, section: DarknetSection, input: Feature): Feature {
  const { layer } = section;
  const count = input.channels * input.rows * input.cols;
  if (intOption(section, 'groups', { fallback: 1 }) !== 1) throw badOption(section, 'groups', '1');
  if (floatOption(section, 'temperature', 1) !== 1) throw badOption(section, 'temperature', '1');
  const flat = { dtype: 'float32' as const, shape: [1, count] };
  const flattened = builder.addNode(layer, { op: 'Flatten', inputs: [input.tensor], attributes: { axis: 1 } }, flat);
  const tensor = builder.addNode(layer, { op: 'Softmax', inputs: [flattened], attributes: { axis: 1 } }, flat);
  return { tensor, channels: count, rows: 1, cols: 1 };
}

function addHead(state: BuildState, input: Feature, head: Omit<DetectionHead, 'output'>): Feature {
  state.heads.push({ ...head, output: state.builder.tensorName(input.tensor) });
  state.outputs.push(input.tensor);
  return input;
}

type Activate = (state: BuildState, layer: number, feature: Feature) => Feature;

function unary(op: string, attributes: NodeSpec['attributes'] = {}): Activate {
  return ({ builder }, layer, feature) =>
    builder.addMap(layer, { op, inputs: [feature.tensor], attributes, floats: ['alpha'] }, feature);
}

const ACTIVATIONS: Readonly<Record<string, Activate>> = {
  linear: (_state, _layer, feature) => feature,
  leaky: unary('LeakyRelu', { alpha: 0.1 }),
  relu: unary('Relu'),
  logistic: unary('Sigmoid'),
  relu6: ({ builder }, layer, feature) => {
    const bound = (value: number) => builder.addConstant(`${layer}/clip${value}`, Float32Array.of(value), []);
    return builder.addMap(layer, { op: 'Clip', inputs: [feature.tensor, bound(0), bound(6)] }, feature);
  },
  /** x * tanh(softplus(x)) */
  mish: ({ builder }, layer, feature) => {
    const soft = builder.addMap(layer, { op: 'Softplus', inputs: [feature.tensor] }, feature);
    const gate = builder.addMap(layer, { op: 'Tanh', inputs: [soft.tensor] }, feature);
    return builder.addMap(layer, { op: 'Mul', inputs: [feature.tensor, gate.tensor] }, feature);
  },
  /** x * sigmoid(x) */
  swish: ({ builder }, layer, feature) => {
    const gate = builder.addMap(layer, { op: 'Sigmoid', inputs: [feature.tensor] }, feature);
    return builder.addMap(layer, { op: 'Mul', inputs: [feature.tensor, gate.tensor] }, feature);
  },
};

interface Activation {
  readonly feature: Feature;
  /** What Darknet assumes where the key is absent. */
  readonly fallback: string;
}

function activate(state: BuildState, section: DarknetSection, { feature, fallback }: Activation): Feature {
  const build = ACTIVATIONS[section.entries.get('activation')?.value ?? fallback];
  if (build === undefined) throw badOption(section, 'activation', `one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  return build(state, section.layer, feature);
}
