/** The input of probes and benches, whose graphs take a plain RGB image. */

import type { Graph } from '../../shared/graph/index.js';
import { elementAt, knownShape, tensorAt } from '../../shared/graph/index.js';
import type { InputSpec } from './manifest.js';

/** The first input [1, 3, H, W] of a graph, as an RGB image of its size with values from 0 to 1. */
export function rgbInputOf(graph: Graph): InputSpec {
  const image = tensorAt(graph, elementAt(graph.inputs, 0));
  const shape = knownShape(image);
  const [height, width] = [elementAt(shape, 2), elementAt(shape, 3)];
  const format = {
    channels: 3,
    layout: 'nchw',
    dtype: 'float32',
    resize: 'stretch',
    colorOrder: 'rgb',
  } as const;
  return { name: image.name, width, height, ...format, scale: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1] };
}
