/** Darknet layers that join earlier layers: route and shortcut. */

import type { Feature } from '../graph/index.js';
import { activate } from './activations.js';
import type { BuildState } from './build-state.js';
import { featureAt } from './build-state.js';
import type { DarknetSection } from './darknet-config.js';
import { badOption, intOption, listOption } from './darknet-config.js';

/** Concatenates earlier layers, or one of `groups` equal parts of the channels of each. */
export function buildRoute(state: BuildState, section: DarknetSection, _input: Feature): Feature {
  const groups = intOption(section, 'groups', { fallback: 1, min: 1 });
  const group = intOption(section, 'group_id', { fallback: 0 });
  const sources = listOption(section, 'layers').map((at) => featureAt(state, section, { key: 'layers', at }));
  const [first] = sources;
  if (first === undefined) throw badOption(section, 'layers', 'at least one layer');
  if (sources.some(({ rows, cols }) => rows !== first.rows || cols !== first.cols)) {
    const sizes = sources.map(({ rows, cols }) => `${cols}x${rows}`).join(', ');
    throw badOption(section, 'layers', `layers of the same size, while these are ${sizes}`);
  }
  const parts = sources.map((source) => {
    if (source.channels % groups !== 0 || group >= groups) {
      throw badOption(section, 'groups', `a divisor of ${source.channels} channels above group_id=${group}`);
    }
    const channels = source.channels / groups;
    return groups === 1
      ? source
      : sliceChannels(state, section, { source, from: group * channels, channels });
  });
  const [part] = parts;
  if (parts.length === 1 && part !== undefined) return part;
  const channels = parts.reduce((sum, item) => sum + item.channels, 0);
  const spec = { op: 'Concat', inputs: parts.map(({ tensor }) => tensor), attributes: { axis: 1 } };
  return state.builder.addMap(section.layer, spec, { ...first, channels });
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
 * Adds an earlier layer, of which Darknet takes the part that both have. The earlier layer is sampled by the ratio
 * of the sizes. Surplus channels are dropped, and missing ones are zero. Source: Darknet's blas.c, shortcut_cpu.
 */
export function buildShortcut(state: BuildState, section: DarknetSection, input: Feature): Feature {
  const sum = listOption(section, 'from').reduce((total: Feature, at) => {
    const other = matchShortcut(state, section, {
      total,
      other: featureAt(state, section, { key: 'from', at }),
    });
    return state.builder.addMap(section.layer, { op: 'Add', inputs: [total.tensor, other.tensor] }, total);
  }, input);
  if (sum === input) throw badOption(section, 'from', 'a layer');
  return activate(state, section, { feature: sum, fallback: 'linear' });
}

/** Multiplies an earlier map by a factor for each channel, which the layer before gives. Source: Darknet's scale_channels_layer.c. */
export function buildScaleChannels(state: BuildState, section: DarknetSection, factors: Feature): Feature {
  const from = listOption(section, 'from');
  const [at] = from;
  if (at === undefined || from.length !== 1) throw badOption(section, 'from', 'one layer');
  const map = featureAt(state, section, { key: 'from', at });
  if (factors.rows !== 1 || factors.cols !== 1 || factors.channels !== map.channels) {
    throw badOption(
      section,
      'from',
      `a layer of ${factors.channels} channels and factors of 1x1 before this one, while these are ${factors.cols}x${factors.rows} and the layer has ${map.channels} channels`,
    );
  }
  const feature = state.builder.addMap(
    section.layer,
    { op: 'Mul', inputs: [map.tensor, factors.tensor] },
    map,
  );
  return activate(state, section, { feature, fallback: 'linear' });
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
    throw badOption(
      section,
      'from',
      `a layer no smaller than ${total.cols}x${total.rows}, while it is ${other.cols}x${other.rows}`,
    );
  }
  const sampled =
    stride === 1
      ? other
      : builder.addMap(
          layer,
          {
            op: 'MaxPool',
            inputs: [other.tensor],
            attributes: { kernel_shape: [1, 1], strides: [stride, stride] },
          },
          { ...other, rows: Math.ceil(other.rows / stride), cols: Math.ceil(other.cols / stride) },
        );
  if (sampled.rows !== total.rows || sampled.cols !== total.cols) {
    throw badOption(section, 'from', `a layer whose size is a multiple of ${total.cols}x${total.rows}`);
  }
  if (sampled.channels > total.channels) {
    return sliceChannels(state, section, { source: sampled, from: 0, channels: total.channels });
  }
  return sampled.channels === total.channels
    ? sampled
    : padChannels(state, section, { source: sampled, channels: total.channels });
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
