/** Darknet layers that have windows: convolutions and pools. */

import type { Feature, Window } from '../graph/index.js';
import { windowRowsOut } from '../graph/index.js';
import { activate } from './activations.js';
import type { BuildState } from './build-state.js';
import type { DarknetSection } from './darknet-config.js';
import { badOption, intOption } from './darknet-config.js';

/** Convolution with its activation. Batch normalisation is folded into the weights. */
export function buildConvolution(state: BuildState, section: DarknetSection, input: Feature): Feature {
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
    {
      channels: filters,
      rows: windowRowsOut(input.rows, window.rows),
      cols: windowRowsOut(input.cols, window.cols),
    },
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

/**
 * Padding defaults to size - 1, with the smaller half before the map. A pool of size 2 and stride 1 therefore keeps
 * the map's size.
 */
export function buildMaxPool(state: BuildState, section: DarknetSection, input: Feature): Feature {
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

/** Darknet's average pool is always over the whole map. */
export function buildAveragePool(
  { builder }: BuildState,
  { layer }: DarknetSection,
  input: Feature,
): Feature {
  const spec = { op: 'GlobalAveragePool', inputs: [input.tensor] };
  return builder.addMap(layer, spec, { channels: input.channels, rows: 1, cols: 1 });
}
