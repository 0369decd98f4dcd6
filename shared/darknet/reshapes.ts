/** Darknet layers that move values and compute little: upsample, reorg, softmax. */

import type { Feature, NodeSpec } from '../graph/index.js';
import type { BuildState } from './build-state.js';
import type { DarknetSection } from './darknet-config.js';
import { badOption, floatOption, intOption } from './darknet-config.js';

export function buildUpsample({ builder }: BuildState, section: DarknetSection, input: Feature): Feature {
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
 * Darknet's reorg, which isn't SpaceToDepth (reorg_cpu with forward = 0):
 * 1. View the C x H x W map as C/s^2 x Hs x Ws.
 * 2. Move space to depth, which gives C x H x W.
 * 3. View the result as Cs^2 x H/s x W/s.
 *
 * The views change the order of rows, so the layer is a barrier. The graph computes their shapes, which makes it
 * valid at any input size.
 */
export function buildReorg({ builder }: BuildState, section: DarknetSection, input: Feature): Feature {
  const { layer } = section;
  const stride = intOption(section, 'stride', { fallback: 1, min: 1 });
  const { channels, rows, cols } = input;
  if (channels % stride ** 2 !== 0 || rows % stride !== 0 || cols % stride !== 0) {
    throw badOption(
      section,
      'stride',
      `a stride whose square divides ${channels} channels and that divides ${cols}x${rows}`,
    );
  }
  const factor = builder.addConstant(
    `${layer}/stride`,
    BigInt64Array.of(BigInt(stride), BigInt(stride)),
    [2],
  );
  const vector = (op: string, inputs: readonly number[], length: number) =>
    builder.addNode(
      layer,
      { op, inputs, attributes: op === 'Concat' ? { axis: 0 } : {} },
      { dtype: 'int64', shape: [length] },
    );
  const size = builder.addNode(
    layer,
    { op: 'Shape', inputs: [input.tensor], attributes: { start: 2, end: 4 } },
    { dtype: 'int64', shape: [2] },
  );
  const view = (source: Feature, { op, feature }: { op: string; feature: Omit<Feature, 'tensor'> }) => {
    const head = builder.addConstant(
      `${layer}/${op}/channels`,
      BigInt64Array.of(1n, BigInt(feature.channels)),
      [2],
    );
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

export function buildSoftmax({ builder }: BuildState, section: DarknetSection, input: Feature): Feature {
  const { layer } = section;
  const count = input.channels * input.rows * input.cols;
  if (intOption(section, 'groups', { fallback: 1 }) !== 1) throw badOption(section, 'groups', '1');
  if (floatOption(section, 'temperature', 1) !== 1) throw badOption(section, 'temperature', '1');
  const flat = { dtype: 'float32' as const, shape: [1, count] };
  const flattened = builder.addNode(
    layer,
    { op: 'Flatten', inputs: [input.tensor], attributes: { axis: 1 } },
    flat,
  );
  const tensor = builder.addNode(
    layer,
    { op: 'Softmax', inputs: [flattened], attributes: { axis: 1 } },
    flat,
  );
  return { tensor, channels: count, rows: 1, cols: 1 };
}
