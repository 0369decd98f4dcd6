/**
 * Peak of the tensors that ONNX Runtime holds during one run of a session, without an arena.
 *
 * A node's outputs are allocated before it runs and live until their last reader has run; outputs of the
 * subgraph live to the end. An elementwise node takes over the buffer of an input of the same size that dies
 * with it (and so does an activation fused into the convolution before it). Inputs are views of the
 * caller's memory.
 * Source: onnxruntime/core/framework/allocation_planner.cc (kReuse from MayInplace, kAlias).
 * Not modelled: reuse of dead buffers of the same symbolic shape, which can only make it smaller.
 */
import type { Graph, Node } from '../graph/index.js';
import { convScratchBytes } from './conv-scratch.js';
import type { KernelSettings, RunStep } from './run-step.js';
import type { Operation, SessionRun } from './session-run.js';

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

/** @returns bytes for one run of a session at the shapes of one step. */
export function predictRunPeak(graph: Graph, run: SessionRun, step: RunStep): RunPeak {
  const outputBytes = run.outputs.reduce((sum, value) => sum + run.bytesOf(value, step.shapeOf), 0);
  return { peakBytes: predictRunPeaks(graph, run, step).at(-1) ?? 0, outputBytes };
}

/** The peaks of a session's kinds of steps, in their order. */
export function predictStepPeaks(
  graph: Graph,
  run: SessionRun,
  { level, threads }: KernelSettings,
): readonly RunPeak[] {
  return run.steps.map(({ shapeOf }) => predictRunPeak(graph, run, { shapeOf, level, threads }));
}

/** @returns the peak by the end of each operation, in bytes. */
export function predictRunPeaks(graph: Graph, run: SessionRun, step: RunStep): Float64Array {
  const { operations } = run;
  const peaks = new Float64Array(operations.length);
  const bytesOf = (value: number) => run.bytesOf(value, step.shapeOf);
  const lastRead = lastReads(run);
  const isOwned: boolean[] = [];
  let alive = 0;
  let peak = 0;
  for (let at = 0; at < operations.length; at += 1) {
    const operation = operations[at] as Operation;
    const { node, reads, writes } = operation;
    const isDying = (value: number) => isOwned[value] === true && lastRead[value] === at;
    const reused = reusedInput(operation, isDying, bytesOf);
    for (const value of writes) {
      isOwned[value] = true;
      alive += bytesOf(value);
    }
    if (reused !== undefined) alive -= bytesOf(reused);
    peak = Math.max(peak, alive + (node === undefined ? 0 : convScratchBytes(graph, node, step)));
    peaks[at] = peak;
    for (const value of reads) {
      if (!isDying(value)) continue;
      if (value !== reused) alive -= bytesOf(value);
      isOwned[value] = false;
    }
    for (const value of writes) {
      if (lastRead[value] !== undefined) continue;
      alive -= bytesOf(value);
      isOwned[value] = false;
    }
  }
  return peaks;
}

/** Position of the last reader of each value, by value; outputs of the session are read at its end. */
function lastReads({ operations, outputs }: SessionRun): readonly (number | undefined)[] {
  const last: number[] = [];
  for (let at = 0; at < operations.length; at += 1)
    for (const value of (operations[at] as Operation).reads) last[value] = at;
  for (const value of outputs) last[value] = operations.length;
  return last;
}

/** Whether an operator may write over its input. */
export function runsInPlace({ op, domain }: Node): boolean {
  return domain === '' && IN_PLACE_OPERATORS.has(op);
}

function reusedInput(
  { node, reads, writes }: Operation,
  isDying: (value: number) => boolean,
  bytesOf: (value: number) => number,
): number | undefined {
  if (node === undefined || !runsInPlace(node)) return undefined;
  const size = bytesOf(writes[0] ?? -1);
  const [first, second] = reads;
  const fits = (value: number | undefined) =>
    value !== undefined && isDying(value) && bytesOf(value) === size;
  return fits(first) ? first : fits(second) ? second : undefined;
}
