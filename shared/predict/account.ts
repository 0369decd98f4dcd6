/**
 * An account adds up what a session takes over all its steps. Both plans and the ranges of a search are predicted so.
 *
 * In each step:
 *
 * 1. A node's outputs are allocated before it runs, and live until their last reader has run.
 * 2. Outputs of the session live to its end. Inputs are views of the caller's memory and don't count.
 * 3. An elementwise node takes over the buffer of an input of the same size that dies with it. An activation that
 *    is fused into the convolution before it does the same.
 * 4. At the blocked levels the channels of maps fill whole blocks.
 * 5. A call costs its multiplications and weights, or the bytes that it moves. A fused activation costs nothing.
 *
 * Not modelled: reuse of dead buffers of the same symbolic shape. It can only make the peak smaller.
 * Reads of sizes are casts, since every value of a call has a size, and a check of each would be felt.
 * Source: onnxruntime/core/framework/allocation_planner.cc.
 */

import type { WorkAmounts } from './device-profile.js';
import type { KernelCost, KernelCosts } from './kernel-costs.js';
import type { RunPeak } from './kernel-work.js';
import { countFaults } from './kernel-work.js';
import type { Call, Session, SessionSteps, StepSizes } from './session.js';

/** What a session takes. */
export interface SessionNeed {
  readonly latencyMs: number;
  /** Bytes of the buffers that stand as long as its segment runs. */
  readonly heldBytes: number;
  /** Live bytes of its largest step: its run's peak, or its outputs and their copies at its end. */
  readonly stepBytes: number;
  /** Live bytes of its largest step that is run more than once. */
  readonly repeatedBytes: number;
  /** Multiply-accumulates over all steps. */
  readonly macs: number;
  /** Number of kinds of steps. */
  readonly kinds: number;
}

/** Returns the bytes of some values together. Values of -1 have none. */
function sumBytes({ bytes }: StepSizes, values: readonly number[]): number {
  let sum = 0;
  for (const value of values) if (value >= 0) sum += bytes[value] as number;
  return sum;
}

/** The account of one session after the other. */
export class Account {
  readonly kernels: KernelCosts;
  readonly #cost: WorkAmounts;
  /** Last call that reads each value. It is -1 if none does, and infinite for values that the session doesn't free. */
  readonly #lastRead: number[] = [];
  /** Most bytes of each held value in any step. */
  readonly #most: number[] = [];

  /** @param cost is in nanoseconds a unit of work. */
  constructor(kernels: KernelCosts, cost: WorkAmounts) {
    this.kernels = kernels;
    this.#cost = cost;
  }

  /** Returns what a session takes. */
  of({ session, steps }: SessionSteps): SessionNeed {
    const { ins, outs, held } = session;
    this.#noteLastReads(session);
    for (const value of held) this.#most[value] = 0;
    let [ns, macs, heldBytes, kinds, stepBytes, repeatedBytes] = [0, 0, 0, 0, 0, 0];
    for (const { sizes, count } of steps) {
      const run = this.#run(session, sizes);
      const outputBytes = sumBytes(sizes, outs);
      ns += count * (run.ns + this.#around({ peakBytes: run.peakBytes, outputBytes }, sumBytes(sizes, ins)));
      macs += count * run.macs;
      kinds += 1;
      stepBytes = Math.max(stepBytes, run.peakBytes, 2 * outputBytes);
      if (count > 1) repeatedBytes = Math.max(repeatedBytes, run.peakBytes, 2 * outputBytes);
      for (const value of held)
        this.#most[value] = Math.max(this.#most[value] as number, sizes.bytes[value] as number);
    }
    for (const value of held) heldBytes += this.#most[value] as number;
    return { latencyMs: ns / 1e6, heldBytes, stepBytes, repeatedBytes, macs, kinds };
  }

  /** Returns the nanoseconds of a run around its kernels: copies, and memory from the system. */
  #around(run: RunPeak, inputBytes: number): number {
    const cost = this.#cost;
    const { faultedBytes, hugeBytes } = countFaults(run);
    const copied = cost.copiedBytes * (inputBytes + run.outputBytes);
    return cost.steps + copied + cost.faultedBytes * faultedBytes + cost.hugeBytes * hugeBytes;
  }

  #noteLastReads({ calls, ins, outs }: Session): void {
    const last = this.#lastRead;
    for (const { writes } of calls) for (const value of writes) last[value] = -1;
    for (const [at, { reads }] of calls.entries()) {
      for (const value of reads) if (value >= 0) last[value] = at;
    }
    // Inputs are the caller's, and outputs live to the end.
    for (const value of ins) last[value] = Number.POSITIVE_INFINITY;
    for (const value of outs) last[value] = Number.POSITIVE_INFINITY;
  }

  /** Runs all calls of a step. */
  #run(
    { calls }: Session,
    sizes: StepSizes,
  ): { readonly ns: number; readonly macs: number; readonly peakBytes: number } {
    const last = this.#lastRead;
    const { bytes } = sizes;
    let [ns, macs, alive, peakBytes] = [0, 0, 0, 0];
    for (let at = 0; at < calls.length; at += 1) {
      const call = calls[at] as Call;
      const { reads, writes } = call;
      const reused = this.#reusedInput(call, at, sizes);
      const cost = this.#kernelCost(call, sizes);
      const madeBytes = sumBytes(sizes, writes);
      for (const value of writes) alive += this.#padded(value, bytes);
      if (reused >= 0) alive -= this.#padded(reused, bytes);
      peakBytes = Math.max(peakBytes, alive + (cost?.scratchBytes ?? 0));
      macs += cost?.macs ?? 0;
      if (cost !== undefined) ns += cost.ns;
      else if (!call.fused)
        ns += this.#cost.calls + this.#cost.movedBytes * (sumBytes(sizes, reads) + madeBytes);
      for (let place = 0; place < reads.length; place += 1) {
        const value = reads[place] as number;
        const dies = value >= 0 && value !== reused && last[value] === at && reads.indexOf(value) === place;
        if (dies) alive -= this.#padded(value, bytes);
      }
      for (const value of writes) if (last[value] === -1) alive -= this.#padded(value, bytes);
    }
    return { ns, macs, peakBytes };
  }

  /** Returns the bytes of a value while it is computed. Rows that a stream adds aren't padded. */
  #padded(value: number, bytes: readonly number[]): number {
    return (bytes[value] as number) * (this.kernels.padding[value] ?? 1);
  }

  /** Returns the costs of a call that multiplies. */
  #kernelCost({ node, reads, writes }: Call, { rows, cols }: StepSizes): KernelCost | undefined {
    const kernel = this.kernels.kernels[node];
    if (kernel?.multiplies !== true) return undefined;
    const map = (kernel.isTransposed ? reads : writes)[0] as number;
    return this.kernels.of(node, rows[map] as number, cols[map] as number);
  }

  /** Finds an input that dies with an elementwise operator and is as large as its output. @returns -1 if none is. */
  #reusedInput({ node, reads, writes }: Call, at: number, { bytes }: StepSizes): number {
    if (this.kernels.kernels[node]?.runsInPlace !== true) return -1;
    const size = bytes[writes[0] as number];
    for (let place = 0; place < 2 && place < reads.length; place += 1) {
      const value = reads[place] as number;
      if (value >= 0 && this.#lastRead[value] === at && bytes[value] === size) return value;
    }
    return -1;
  }
}
