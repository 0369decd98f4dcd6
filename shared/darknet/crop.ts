/** Darknet's crop layer: the middle of the image, with values from -1 to 1. Source: Darknet's crop_layer.c. */
import type { Feature } from '../graph/index.js';
import type { BuildState } from './build-state.js';
import type { DarknetSection } from './darknet-config.js';
import { badOption, intOption } from './darknet-config.js';

export function buildCrop({ builder }: BuildState, section: DarknetSection, input: Feature): Feature {
  const { layer } = section;
  const cropped = {
    ...input,
    rows: intOption(section, 'crop_height', { fallback: 1, min: 1 }),
    cols: intOption(section, 'crop_width', { fallback: 1, min: 1 }),
  };
  if (cropped.rows > input.rows) throw badOption(section, 'crop_height', `at most ${input.rows}`);
  if (cropped.cols > input.cols) throw badOption(section, 'crop_width', `at most ${input.cols}`);
  const integers = (name: string, ...values: readonly number[]) =>
    builder.addConstant(`${layer}/${name}`, BigInt64Array.from(values, BigInt), [values.length]);
  const top = Math.floor((input.rows - cropped.rows) / 2);
  const left = Math.floor((input.cols - cropped.cols) / 2);
  const bounds = [
    integers('starts', top, left),
    integers('ends', top + cropped.rows, left + cropped.cols),
    integers('axes', 2, 3),
  ];
  const middle = builder.addMap(layer, { op: 'Slice', inputs: [input.tensor, ...bounds] }, cropped);
  if (intOption(section, 'noadjust', { fallback: 0 }) === 1) return middle;
  const number = (name: string, value: number) =>
    builder.addConstant(`${layer}/${name}`, Float32Array.of(value), [1, 1, 1, 1]);
  const doubled = builder.addMap(layer, { op: 'Mul', inputs: [middle.tensor, number('scale', 2)] }, cropped);
  return builder.addMap(layer, { op: 'Sub', inputs: [doubled.tensor, number('offset', 1)] }, cropped);
}
