/**
 * This file predicts the peak of the tensors that ONNX Runtime holds during one run of a session, without an arena.
 *
 * 1. A node's outputs are allocated before it runs, and live until their last reader has run.
 * 2. Outputs of the session live to its end. Inputs are views of the caller's memory and don't count.
 * 3. An elementwise node takes over the buffer of an input of the same size that dies with it. An activation that
 *    is fused into the convolution before it does the same.
 *
 * Not modelled: reuse of dead buffers of the same symbolic shape. It can only make the peak smaller.
 * Source: onnxruntime/core/framework/allocation_planner.cc (kReuse from MayInplace, kAlias).
 */
import type { Graph, Node } from '../graph/index.js';
import { elementAt } from '../graph/index.js';
import { convScratchBytes } from './conv-scratch.js';
import type { KernelSettings, RunStep } from './run-step.js';
import type { Operation, SessionRun } from './session-run.js';

/** Operators that may write over their first or second input. */
const IN_PLACE_OPERATORS = new Set(
  `
  Relu LeakyRelu Clip Sigmoid HardSigmoid HardSwish Tanh Softplus Elu Selu Abs Neg Exp Log Sqrt Floor
  Ceil Reciprocal Add Sub Mul Div Reshape Flatten Squeeze Unsqueeze Identity Dropout Softsign Gelu`
    .trim()
    .split(/\s+/),
);

/** Memory of one run of a session. */
export interface RunPeak {
  /** Most bytes of tensors and scratch that are alive at once. */
  readonly peakBytes: number;
  /** Bytes of the session's outputs, which are copied into JavaScript memory at the end. */
  readonly outputBytes: number;
}

/** Predicts the memory of one run of a session at the shapes of one step. */
export function predictRunPeak(graph: Graph, run: SessionRun, step: RunStep): RunPeak {
  const outputBytes = run.outputs.reduce((sum, value) => sum + run.bytesOf(value, step.shapeOf), 0);
  const peaks = predictRunPeaks(graph, run, step);
  return { peakBytes: elementAt(peaks, peaks.length - 1), outputBytes };
}

/** Predicts the memory of each kind of step of a session, in their order. */
export function predictStepPeaks(
  graph: Graph,
  run: SessionRun,
  { level, threads }: KernelSettings,
): readonly RunPeak[] {
  return run.steps.map(({ shapeOf }) => predictRunPeak(graph, run, { shapeOf, level, threads }));
}

/** Predicts the peak by the end of each operation, in bytes. */
export function predictRunPeaks(graph: Graph, run: SessionRun, step: RunStep): Float64Array {
  const { operations } = run;
  const peaks = new Float64Array(operations.length);
  const bytesOf = (value: number) => run.bytesOf(value, step.shapeOf);
  const lastRead = lastReads(run);
  const isOwned: boolean[] = [];
  let alive = 0;
  let peak = 0;
  for (const [at, operation] of operations.entries()) {
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

/** Returns the position of each value's last reader, by value. Outputs of the session are read at its end. */
function lastReads({ operations, outputs }: SessionRun): readonly (number | undefined)[] {
  const last: number[] = [];
  for (const [at, { reads }] of operations.entries()) for (const value of reads) last[value] = at;
  for (const value of outputs) last[value] = operations.length;
  return last;
}

/** Whether ONNX Runtime lets an operator write over its input. */
export function runsInPlace({ op, domain }: Node): boolean {
  return domain === '' && IN_PLACE_OPERATORS.has(op);
}

/** Finds the input whose buffer an operation takes over. @returns undefined if there is none. */
function reusedInput(
  { node, reads, writes }: Operation,
  isDying: (value: number) => boolean,
  bytesOf: (value: number) => number,
): number | undefined {
  if (node === undefined || !runsInPlace(node)) return undefined;
  const size = bytesOf(elementAt(writes, 0));
  const [first, second] = reads;
  const fits = (value: number | undefined) =>
    value !== undefined && isDying(value) && bytesOf(value) === size;
  return fits(first) ? first : fits(second) ? second : undefined;
}
