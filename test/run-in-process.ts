import { ProgramRunner, packOutput } from '../agent/engine/child/program-runner.js';
import { compilePlan } from '../agent/engine/compile/compile.js';
import type { ImageInput, OutputTensor } from '../agent/engine/wire/protocol.js';
import { mulberry32 } from '../shared/darknet/index.js';
import type { Graph } from '../shared/graph/index.js';
import { knownShape, tensorAt } from '../shared/graph/index.js';
import type { Plan } from '../shared/search/index.js';

/** Runs a plan on ONNX Runtime in this process, on an image of noise; weights are inline. */
export async function runInProcess(graph: Graph, plan: Plan): Promise<readonly OutputTensor[]> {
  const input = imageInputOf(graph);
  const program = compilePlan(graph, plan, { folder: '.', input });
  const runner = await ProgramRunner.load(program, { onStep: () => undefined });
  try {
    const { width, height, channels } = input;
    const random = mulberry32(7);
    const data = Uint8Array.from({ length: width * height * channels }, () => Math.floor(random() * 256));
    const outputs = await runner.run({ data, width, height });
    return outputs.map(packOutput);
  } finally {
    await runner.unload();
  }
}

/** How an image becomes the input of a graph: noise around zero. */
export function imageInputOf(graph: Graph): ImageInput {
  const { name, shape } = { ...tensorAt(graph, graph.inputs[0] ?? -1) };
  const [, channels = 3, height = 0, width = 0] = shape ?? knownShape(tensorAt(graph, 0));
  return {
    name,
    width,
    height,
    channels: channels === 1 ? 1 : 3,
    layout: 'nchw',
    dtype: 'float32',
    resize: 'stretch',
    colorOrder: 'rgb',
    scale: 1 / 128,
    mean: [1, 1, 1],
    std: [1, 1, 1],
  };
}
