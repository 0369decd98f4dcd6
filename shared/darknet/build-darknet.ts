/**
 * Builds a graph of Darknet sections. Each kind of section has a function. The output of each layer is kept, since
 * a later `route` or `shortcut` may refer to it. Detection heads (`region`, `yolo`) give graph outputs, which the
 * agent decodes.
 * Source: the make_*_layer and forward_*_layer functions of Darknet.
 */

import type { Feature, Graph } from '../graph/index.js';
import { GraphBuilder } from '../graph/index.js';
import type { BuildLayer, BuildState } from './build-state.js';
import { checkKeys } from './check-keys.js';
import { buildCrop } from './crop.js';
import type { DarknetSection } from './darknet-config.js';
import { describeSection, intOption } from './darknet-config.js';
import type { WeightSource } from './darknet-weights.js';
import type { DetectionHead } from './heads.js';
import { readRegionHead, readYoloHead } from './heads.js';
import { buildRoute, buildScaleChannels, buildShortcut } from './joins.js';
import { buildReorg, buildSoftmax, buildUpsample } from './reshapes.js';
import { buildAveragePool, buildConvolution, buildMaxPool } from './window-layers.js';

export interface DarknetNetwork {
  readonly graph: Graph;
  readonly heads: readonly DetectionHead[];
  /** Whether the network's output are class probabilities. */
  readonly classifies: boolean;
  /** Whether Darknet keeps the aspect ratio of the image (`letter_box=1`). */
  readonly letterbox: boolean;
}

interface DarknetOptions {
  readonly weights: WeightSource;
  /** Input size in place of `width` and `height` of [net]. */
  readonly size?: { readonly width: number; readonly height: number };
  readonly name?: string;
}

/** The network of a config's sections. @throws {SyntaxError} naming the section, key or layer that is wrong. */
export function buildDarknet(sections: readonly DarknetSection[], options: DarknetOptions): DarknetNetwork {
  for (const section of sections) checkKeys(section);
  const [net, ...layers] = sections;
  if (net === undefined || layers.length === 0)
    throw new SyntaxError('Cannot import Darknet config: it has no layers, expected at least one');
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
  const last = layers.findLast(({ kind }) => kind !== 'cost');
  for (const section of layers) {
    if (section.kind === 'softmax' && section !== last) {
      throw new SyntaxError(
        `Cannot import ${describeSection(section)}: layers follow it, expected it to be the last layer`,
      );
    }
    state.features.push(buildLayer(state, section, state.features.at(-1) ?? input));
  }
  options.weights.end();
  const output = state.features.at(-1);
  if (output !== undefined && state.heads.length === 0) state.outputs.push(output.tensor);
  return {
    graph: builder.build(options.name ?? 'darknet', state.outputs),
    heads: state.heads,
    classifies: last?.kind === 'softmax',
    letterbox: intOption(net, 'letter_box', { fallback: 0 }) === 1,
  };
}

function addImage(builder: GraphBuilder, net: DarknetSection, { size }: DarknetOptions): Feature {
  const channels = intOption(net, 'channels', { fallback: 3, min: 1 });
  const rows = size?.height ?? intOption(net, 'height', { fallback: 0, min: 1 });
  const cols = size?.width ?? intOption(net, 'width', { fallback: 0, min: 1 });
  return { tensor: builder.addInput('image', [1, channels, rows, cols]), channels, rows, cols };
}

const LAYERS: ReadonlyMap<string, BuildLayer> = new Map(
  Object.entries<BuildLayer>({
    convolutional: buildConvolution,
    maxpool: buildMaxPool,
    avgpool: buildAveragePool,
    route: buildRoute,
    shortcut: buildShortcut,
    scale_channels: buildScaleChannels,
    crop: buildCrop,
    // The loss of training.
    cost: (_state, _section, input) => input,
    upsample: buildUpsample,
    reorg: buildReorg,
    dropout: (_state, _section, input) => input,
    softmax: buildSoftmax,
    region: (state, section, input) => addHead(state, input, readRegionHead(section, input)),
    yolo: (state, section, input) =>
      addHead(state, input, readYoloHead(section, { ...input, net: state.net })),
  }),
);

function buildLayer(state: BuildState, section: DarknetSection, input: Feature): Feature {
  const build = LAYERS.get(section.kind);
  if (build === undefined)
    throw new SyntaxError(
      `Cannot import ${describeSection(section)}: [${section.kind}] is not a layer, expected one of ${[...LAYERS.keys()].join(', ')}`,
    );
  const output = build(state, section, input);
  if (output.rows < 1 || output.cols < 1) {
    throw new SyntaxError(
      `Cannot import ${describeSection(section)}: its map would be ${output.cols}x${output.rows}, expected at least 1x1; ` +
        `the network needs a larger input than ${state.net.width}x${state.net.height}`,
    );
  }
  return output;
}

function addHead(state: BuildState, input: Feature, head: Omit<DetectionHead, 'output'>): Feature {
  state.heads.push({ ...head, output: state.builder.tensorName(input.tensor) });
  state.outputs.push(input.tensor);
  return input;
}
