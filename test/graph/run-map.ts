/** Runs a map through a graph on ONNX Runtime, to compare it with a naive loop. */
import assert from 'node:assert/strict';
import { Session } from '../../agent/engine/child/onnx-runtime.js';
import { mulberry32 } from '../../shared/darknet/index.js';
import type { Graph } from '../../shared/graph/index.js';
import { tensorAt } from '../../shared/graph/index.js';
import { writeOnnx } from '../../shared/onnx/index.js';
import { inputShape } from '../darknet/darknet-network.js';

/** Values of one map, channel by channel and row by row. */
export interface PlainMap {
  readonly values: Float32Array;
  readonly channels: number;
  readonly width: number;
  readonly height: number;
}

export function noise(length: number): Float32Array {
  const random = mulberry32(length);
  return Float32Array.from({ length }, () => random() * 2 - 1);
}

/** The first output of ONNX Runtime. Its shape must be that of the graph. */
export async function run(graph: Graph, image: Float32Array): Promise<Float32Array> {
  const session = await Session.create(writeOnnx(graph), { folder: '.', level: 'disabled', threads: 1 });
  const shape = inputShape(graph) ?? [];
  const output = tensorAt(graph, graph.outputs[0] ?? -1);
  const results = await session.run({ image: { dtype: 'float32', shape, data: image } });
  const result = results[output.name];
  await session.release();
  assert.deepEqual(result?.shape, output.shape);
  assert.ok(result?.data instanceof Float32Array);
  return result.data;
}
