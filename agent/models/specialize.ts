/**
 * Makes a stored graph ready to plan at an input size.
 *
 * 1. The input gets its size, and ONNX Runtime infers all other shapes in an executor.
 * 2. Shape arithmetic and other constants are folded; ONNX Runtime computes them.
 * 3. Chains of nodes that move channels become one node. Padding and window geometry are made explicit.
 */

import type { Graph, TensorValue } from '../../shared/graph/index.js';
import {
  applyFolded,
  dropCeilModes,
  elementAt,
  foldPads,
  foldShapes,
  makeGeometryExplicit,
  moveChannels,
  producers,
  selectFoldable,
  tensorAt,
  tensorBytes,
  tensorsWritten,
} from '../../shared/graph/index.js';
import { writeOnnx } from '../../shared/onnx/index.js';
import type { Executor } from '../engine/wire/executor.js';
import type { InputSpec } from './manifest.js';

/** Gives an executor, which is started when the first question needs one. */
export type AskExecutor = () => Promise<Executor>;

export interface SpecializeOptions {
  /** Folder of the graph's external data. */
  readonly folder: string;
  readonly input: InputSpec;
  readonly executor: AskExecutor;
}

/** @throws {RangeError} if the network can't take the input size. */
export async function specializeGraph(graph: Graph, options: SpecializeOptions): Promise<Graph> {
  const sized = withInputShape(graph, inputShape(options.input));
  const shaped = await settleShapes(sized, options);
  checkSizes(shaped);
  const folded = await foldConstants(foldShapes(shaped), options);
  return makeGeometryExplicit(moveChannels(foldPads(folded)));
}

/** Infers unknown shapes. If a pool turns out to drop its last window, its ceil mode goes and all starts again. */
async function settleShapes(graph: Graph, options: SpecializeOptions): Promise<Graph> {
  const shaped = isShaped(graph) ? graph : await inferShapes(graph, options);
  const dropped = dropCeilModes(shaped);
  return dropped === shaped ? shaped : settleShapes(forgetShapes(dropped), options);
}

/** Limit of a tensor's size: ONNX Runtime's JavaScript side can't hold more, nor could a board. */
const MAX_TENSOR_BYTES = 2 ** 31;

/** @throws {RangeError} naming the first tensor beyond the limit. */
function checkSizes(graph: Graph): void {
  for (const tensor of graph.tensors) {
    if (tensor.shape === null || tensor.shape.some((dim) => dim < 0)) continue;
    if (tensorBytes(tensor) < MAX_TENSOR_BYTES) continue;
    throw new RangeError(
      `Cannot use network: tensor "${tensor.name}" is [${tensor.shape.join(', ')}], ` +
        `expected less than ${MAX_TENSOR_BYTES} bytes; give a smaller --input`,
    );
  }
}

export function inputShape({ layout, channels, height, width }: InputSpec): readonly number[] {
  return layout === 'nchw' ? [1, channels, height, width] : [1, height, width, channels];
}

/** The graph with this shape of its image input. If the shape is new, all shapes that depend on it are forgotten. */
function withInputShape(graph: Graph, shape: readonly number[]): Graph {
  const image = elementAt(graph.inputs, 0);
  if (tensorAt(graph, image).shape?.join() === shape.join()) return graph;
  const forgotten = forgetShapes(graph);
  const tensors = forgotten.tensors.map((tensor, index) => (index === image ? { ...tensor, shape } : tensor));
  return { ...graph, tensors };
}

/** The graph without the shapes of tensors that its nodes compute. */
export function forgetShapes(graph: Graph): Graph {
  const producer = producers(graph);
  const tensors = graph.tensors.map((tensor, index) =>
    elementAt(producer, index) >= 0 ? { ...tensor, shape: null } : tensor,
  );
  return { ...graph, tensors };
}

function isShaped(graph: Graph): boolean {
  return graph.tensors.every(({ shape }) => shape?.every((dim) => dim >= 0) === true);
}

async function inferShapes(graph: Graph, { folder, input, executor }: SpecializeOptions): Promise<Graph> {
  const computed = graph.nodes.flatMap(tensorsWritten);
  const model = writeOnnx({ ...graph, outputs: computed }, { untypedOutputs: true });
  const runtime = await executor();
  const inspected = await runtime.ask({ kind: 'inspect', model, folder }).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RangeError(
      `Cannot use the network at ${input.width}x${input.height}: ONNX Runtime says: ${reason}`,
    );
  });
  const infos = new Map(inspected.map((info) => [info.name, info]));
  const tensors = graph.tensors.map((tensor) => {
    const info = infos.get(tensor.name);
    return info === undefined ? tensor : { ...tensor, dtype: info.dtype, shape: info.shape };
  });
  return { ...graph, tensors };
}

/** The graph with all tensors folded that depend on constants alone. */
export async function foldConstants(
  graph: Graph,
  { folder, executor }: Pick<SpecializeOptions, 'folder' | 'executor'>,
): Promise<Graph> {
  const foldable = selectFoldable(graph);
  if (foldable === null) return graph;
  const runtime = await executor();
  const outputs = await runtime.ask({
    kind: 'evaluate',
    model: writeOnnx(foldable, { untypedOutputs: true }),
    folder,
  });
  const values = new Map<string, TensorValue>();
  for (const { name, dtype, shape, bytes } of outputs) {
    if (bytes !== undefined) values.set(name, { dtype, shape, bytes });
  }
  return applyFolded(graph, values);
}
