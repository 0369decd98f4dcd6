import type { Graph } from '../../shared/graph/index.js';
import { knownShape, tensorAt } from '../../shared/graph/index.js';
import type { InputSpec } from './manifest.js';

/** The first input of a graph [1, 3, H, W] as an RGB image of its size, values from 0 to 1. */
export function rgbInputOf(graph: Graph): InputSpec {
  const image = tensorAt(graph, graph.inputs[0] ?? -1);
  const [, , height = 0, width = 0] = knownShape(image);
  const format = {
    channels: 3,
    layout: 'nchw',
    dtype: 'float32',
    resize: 'stretch',
    colorOrder: 'rgb',
  } as const;
  return { name: image.name, width, height, ...format, scale: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1] };
}
