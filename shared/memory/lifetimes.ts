/**
 * Peak of the tensors that ONNX Runtime holds during one run of a subgraph, without an arena.
 *
 * A node's outputs are allocated before it runs and live until their last reader has run; outputs of the
 * subgraph live to the end. An elementwise node takes over the buffer of an input of the same size that dies
 * with it (and so does an activation fused into the convolution before it). Inputs are views of the
 * caller's memory.
 * Source: onnxruntime/core/framework/allocation_planner.cc (kReuse from MayInplace, kAlias).
 * Not modelled: reuse of dead buffers of the same symbolic shape, which can only make it smaller.
 */
import type { Graph, Node } from '../graph/graph.js';
import { BYTES_PER_ELEMENT, elementCount, tensorAt, tensorsRead, tensorsWritten } from '../graph/graph.js';
import type { NodeRange } from '../graph/segment-graph.js';
import { boundaryOf } from '../graph/segment-graph.js';
import { convScratchBytes } from './conv-scratch.js';
import type { RunStep } from './run-step.js';

const IN_PLACE_OPERATORS = new Set(
  `
  Relu LeakyRelu Clip Sigmoid HardSigmoid HardSwish Tanh Softplus Elu Selu Abs Neg Exp Log Sqrt Floor
  Ceil Reciprocal Add Sub Mul Div Reshape Flatten Squeeze Unsqueeze Identity Dropout Softsign Gelu`
    .trim()
    .split(/\s+/),
);

export interface RunPeak {
  /** Most bytes alive at once: tensors and scratch. */
  readonly peakBytes: number;
  /** Bytes of the subgraph's outputs, which are copied into JavaScript memory at the end. */
  readonly outputBytes: number;
}

/** @returns bytes for one run of nodes [from, to) at the shapes of one step. */
export function predictRunPeak(graph: Graph, range: NodeRange, step: RunStep): RunPeak {
  const { outputs } = boundaryOf(graph, range);
  const bytesOf = (index: number) =>
    elementCount(step.shapeOf(index)) * BYTES_PER_ELEMENT[tensorAt(graph, index).dtype];
  const nodes = graph.nodes.slice(range.from, range.to);
  const lastRead = lastReads(nodes, outputs);
  const owned = new Set<number>();
  let alive = 0;
  let peak = 0;
  for (const [at, node] of nodes.entries()) {
    const dying = [...new Set(tensorsRead(node))].filter(
      (index) => owned.has(index) && lastRead.get(index) === at,
    );
    const reused = reusedInput(node, dying, bytesOf);
    for (const index of tensorsWritten(node)) {
      owned.add(index);
      alive += bytesOf(index);
    }
    if (reused !== undefined) alive -= bytesOf(reused);
    peak = Math.max(peak, alive + convScratchBytes(graph, node, step));
    for (const index of dying) {
      if (index !== reused) alive -= bytesOf(index);
      owned.delete(index);
    }
    for (const index of tensorsWritten(node)) {
      if (lastRead.has(index)) continue;
      alive -= bytesOf(index);
      owned.delete(index);
    }
  }
  return { peakBytes: peak, outputBytes: outputs.reduce((sum, index) => sum + bytesOf(index), 0) };
}

/** Position of the last reader of each tensor; outputs of the range are read at its end. */
function lastReads(nodes: readonly Node[], outputs: readonly number[]): ReadonlyMap<number, number> {
  const last = new Map<number, number>();
  for (const [at, node] of nodes.entries()) {
    for (const index of tensorsRead(node)) last.set(index, at);
  }
  for (const index of outputs) last.set(index, nodes.length);
  return last;
}

function reusedInput(
  node: Node,
  dying: readonly number[],
  bytesOf: (index: number) => number,
): number | undefined {
  if (!IN_PLACE_OPERATORS.has(node.op) || node.domain !== '') return undefined;
  const size = bytesOf(node.outputs[0] ?? -1);
  return dying.find((index) => node.inputs.slice(0, 2).includes(index) && bytesOf(index) === size);
}
