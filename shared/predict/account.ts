/**
 * An account adds up what a session takes over all its steps. Both plans and the ranges of a search are predicted so.
 *
 * In each step:
 *
 * 1. A node's outputs are allocated before it runs, and live until their last reader has run.
 * 2. Outputs of the session live to its end. Inputs are views of the caller's memory and don't count.
 * 3. An elementwise node takes over the buffer of an input of the same size that dies with it. An activation that
 *    is fused into the convolution before it does the same.
 * 4. A call costs its multiplications and weights, or the bytes that it moves. A fused activation costs nothing.
 *
 * Not modelled: reuse of dead buffers of the same symbolic shape. It can only make the peak smaller.
 * Reads of sizes are casts, since every value of a call has a size, and a check of each would be felt.
 * Source: onnxruntime/core/framework/allocation_planner.cc.
 */

import type { WorkAmounts } from './device-profile.js';
import type { Kernel, KernelCost, KernelCosts } from './kernel-costs.js';
import type { RunPeak } from './kernel-work.js';
import { countFaults } from './kernel-work.js';
import type { Call, Session, SessionSteps, StepKind, StepSizes } from './session.js';

/** What a session takes. */
export interface SessionNeed {
  readonly latencyMs: number;
  /** Bytes of the buffers that stand as long as its segment runs. */
  readonly heldBytes: number;
  /** Live bytes of its largest step: its run's peak, or its outputs and their copies at its end. */
  readonly stepBytes: number;
  /** Multiply-accumulates over all steps. */
  readonly macs: number;
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
  #session: Session = { calls: [], ins: [], outs: [], held: [] };
  /** Last call that reads each value. It is -1 if none does, and infinite for values that the session doesn't free. */
  readonly #lastRead: number[] = [];
  /** Most bytes of each held value in any step. */
  readonly #most: number[] = [];
  #ns = 0;
  #macs = 0;
  #stepBytes = 0;

  /** @param cost is in nanoseconds a unit of work. */
  constructor(kernels: KernelCosts, cost: WorkAmounts) {
    this.kernels = kernels;
    this.#cost = cost;
  }

  /** Returns what a session takes. */
  of({ session, steps }: SessionSteps): SessionNeed {
    this.begin(session);
    for (const step of steps) this.add(step);
    return this.need;
  }

  /** Begins the account of a session. */
  begin(session: Session): void {
    this.#session = session;
    [this.#ns, this.#macs, this.#stepBytes] = [0, 0, 0];
    for (const value of session.held) this.#most[value] = 0;
    this.#noteLastReads(session);
  }

  /** Adds steps of one kind. */
  add({ sizes, count }: StepKind): void {
    const { ins, outs, held } = this.#session;
    const outputBytes = sumBytes(sizes, outs);
    const peakBytes = this.#peak(sizes);
    this.#ns +=
      count * (this.#around({ peakBytes, outputBytes }, sumBytes(sizes, ins)) + this.#run(sizes, count));
    this.#stepBytes = Math.max(this.#stepBytes, peakBytes, 2 * outputBytes);
    for (const value of held)
      this.#most[value] = Math.max(this.#most[value] as number, sizes.bytes[value] as number);
  }

  /** What was added up since the session began. */
  get need(): SessionNeed {
    let heldBytes = 0;
    for (const value of this.#session.held) heldBytes += this.#most[value] as number;
    return { latencyMs: this.#ns / 1e6, heldBytes, stepBytes: this.#stepBytes, macs: this.#macs };
  }

  /** Returns the nanoseconds of a run around its kernels: copies, and memory from the system. */
  #around(run: RunPeak, inputBytes: number): number {
    const { steps, copiedBytes, ...cost } = this.#cost;
    const { faultedBytes, hugeBytes } = countFaults(run);
    const copied = copiedBytes * (inputBytes + run.outputBytes);
    return steps + copied + cost.faultedBytes * faultedBytes + cost.hugeBytes * hugeBytes;
  }

  /** Returns the nanoseconds of one call. */
  #callNs(call: Call, sizes: StepSizes): number {
    const { node, reads, writes, fused } = call;
    if (fused) return 0;
    if (this.#multiplies(call)) return this.#kernelCost(node, sizes).ns;
    return this.#cost.calls + this.#cost.movedBytes * (sumBytes(sizes, reads) + sumBytes(sizes, writes));
  }

  /** Runs all kernels of a step. @returns their nanoseconds. */
  #run(sizes: StepSizes, count: number): number {
    let ns = 0;
    for (const call of this.#session.calls) {
      ns += this.#callNs(call, sizes);
      if (this.#multiplies(call)) this.#macs += count * this.#kernelCost(call.node, sizes).macs;
    }
    return ns;
  }

  #multiplies({ node }: Call): boolean {
    return this.kernels.kernels[node]?.multiplies === true;
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

  /** Returns the most bytes that are alive at once. */
  #peak(sizes: StepSizes): number {
    const last = this.#lastRead;
    const { bytes } = sizes;
    const { calls } = this.#session;
    let [alive, peak] = [0, 0];
    for (let at = 0; at < calls.length; at += 1) {
      const call = calls[at] as Call;
      const { node, reads, writes } = call;
      const kernel = this.kernels.kernels[node];
      const reused = kernel?.runsInPlace === true ? this.#reusedInput(call, at, sizes) : -1;
      alive += sumBytes(sizes, writes);
      if (reused >= 0) alive -= bytes[reused] as number;
      const scratch = kernel?.multiplies === true ? this.#kernelCost(node, sizes).scratchBytes : 0;
      if (alive + scratch > peak) peak = alive + scratch;
      for (let place = 0; place < reads.length; place += 1) {
        const value = reads[place] as number;
        const dies = value >= 0 && value !== reused && last[value] === at && reads.indexOf(value) === place;
        if (dies) alive -= bytes[value] as number;
      }
      for (const value of writes) if (last[value] === -1) alive -= bytes[value] as number;
    }
    return peak;
  }

  /** Finds an input that dies with an elementwise operator and is as large as its output. @returns -1 if none is. */
  #reusedInput({ reads, writes }: Call, at: number, { bytes }: StepSizes): number {
    const size = bytes[writes[0] as number];
    for (let place = 0; place < 2 && place < reads.length; place += 1) {
      const value = reads[place] as number;
      if (value >= 0 && this.#lastRead[value] === at && bytes[value] === size) return value;
    }
    return -1;
  }

  #kernelCost(node: number, { rows, cols }: StepSizes): KernelCost {
    const { writes } = this.kernels.kernels[node] as Kernel;
    const output = writes[0] as number;
    return this.kernels.of(node, rows[output] as number, cols[output] as number);
  }
}
