/**
 * Makes a stored graph ready to plan at an input size.
 *
 * 1. The input gets its size, and ONNX Runtime infers all other shapes in an executor. Those that depend on the image's
 *    values (shared/graph/varying-shapes.ts) are measured once, as an example for the predictor.
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
  tensorsRead,
  tensorsWritten,
  totalStride,
} from '../../shared/graph/index.js';
import { writeOnnx } from '../../shared/onnx/index.js';
import type { Executor } from '../engine/wire/executor.js';
import { withFixedInputs } from './image-input.js';
import type { FixedInput, InputSpec } from './manifest.js';

/** Gives an executor, which is started when the first question needs one. */
export type AskExecutor = () => Promise<Executor>;

export interface SpecializeOptions {
  /** Folder of the graph's external data. */
  readonly folder: string;
  readonly input: InputSpec;
  /** Values of the inputs beside the image. */
  readonly fixed: readonly FixedInput[];
  readonly executor: AskExecutor;
}

/** @throws {RangeError} if the network can't take the input size. */
export async function specializeGraph(graph: Graph, options: SpecializeOptions): Promise<Graph> {
  const sized = withInputShape(withFixedInputs(graph, options), inputShape(options.input));
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
  const unsure = tensorsOfUnsureRank(graph).map((index) => tensorAt(graph, index).name);
  const inspected = await runtime.ask({ kind: 'inspect', model, folder, unsure }).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RangeError(
      `Cannot use the network at ${input.width}x${input.height}: ONNX Runtime says: ${reason}${sizeHint(graph, input)}`,
    );
  });
  const infos = new Map(inspected.map((info) => [info.name, info]));
  const tensors = graph.tensors.map((tensor) => {
    const info = infos.get(tensor.name);
    return info === undefined ? tensor : { ...tensor, dtype: info.dtype, shape: info.shape };
  });
  return { ...graph, tensors };
}

/** Sizes near the one that doesn't fit, if that is likely why. */
function sizeHint(graph: Graph, { width, height }: InputSpec): string {
  const stride = totalStride(graph);
  if (width % stride === 0 && height % stride === 0) return '';
  const near = (length: number) => Math.max(stride, Math.round(length / stride) * stride);
  return `; most networks of stride ${stride} take multiples of it, such as --input ${near(width)}x${near(height)}`;
}

/** Operators whose output's rank can stay unknown. Of those with a position here, if that operand isn't a constant. */
const RANKLESS: ReadonlyMap<string, number | undefined> = new Map([
  ...(['Reshape', 'Expand', 'Squeeze'] as const).map((op) => [op, 1] as const),
  ['ConstantOfShape', 0],
  ...(['If', 'Loop', 'Scan', 'SequenceAt'] as const).map((op) => [op, undefined] as const),
]);

/** Tensors whose rank ONNX Runtime may not know, which it says as that of a scalar. */
function tensorsOfUnsureRank(graph: Graph): readonly number[] {
  const unsure = new Set<number>();
  for (const node of graph.nodes) {
    const sizing = RANKLESS.get(node.op);
    const operand = sizing === undefined ? undefined : graph.tensors[node.inputs[sizing] ?? -1];
    const isRankless = (RANKLESS.has(node.op) && (operand?.constant ?? null) === null) || node.domain !== '';
    if (!isRankless && !tensorsRead(node).some((index) => unsure.has(index))) continue;
    if (node.op !== 'Shape' && node.op !== 'Size')
      for (const index of tensorsWritten(node)) unsure.add(index);
  }
  return [...unsure];
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
