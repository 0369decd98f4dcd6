/** Measures the ranges of a float graph's maps on an image of noise. */
import { Session } from '../agent/engine/child/onnx-runtime.js';
import { mulberry32 } from '../shared/darknet/index.js';
import type { Graph } from '../shared/graph/index.js';
import { elementAt, elementCount, knownShape, tensorAt } from '../shared/graph/index.js';
import { writeOnnx } from '../shared/onnx/index.js';
import type { ValueRange } from './quantize-graph.js';

/** Returns the range of each map by tensor, for values of the image from -1 to 1. */
export async function measureRanges(graph: Graph): Promise<ReadonlyMap<number, ValueRange>> {
  const outputs = graph.nodes.map((node) => elementAt(node.outputs, 0));
  const session = await Session.create(writeOnnx({ ...graph, outputs }), {
    folder: '.',
    level: 'disabled',
    threads: 2,
  });
  const random = mulberry32(3);
  const input = tensorAt(graph, elementAt(graph.inputs, 0));
  const shape = knownShape(input);
  const data = Float32Array.from({ length: elementCount(shape) }, () => random() * 2 - 1);
  const results = await session.run({ [input.name]: { dtype: 'float32', shape, data } });
  await session.release();
  const ranges = new Map<number, ValueRange>([[elementAt(graph.inputs, 0), [-1, 1]]]);
  for (const output of outputs) {
    const values = results[tensorAt(graph, output).name]?.data;
    if (values instanceof Float32Array)
      ranges.set(output, [
        values.reduce((least, value) => Math.min(least, value), 0),
        values.reduce((most, value) => Math.max(most, value), 0),
      ]);
  }
  return ranges;
}
