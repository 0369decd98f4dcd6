/**
 * This file finds the latency and the peak of one step of a session, by the rules of predict/latency.ts and
 * predict/lifetimes.ts.
 *
 * Values are numbered and their sizes stand in arrays, since the search asks thousands of times. Every value that a call
 * reads or writes has a size. So reads of these arrays are casts, since a check of each would be felt.
 */

import { elementAt } from '../graph/index.js';
import type { RunPeak, WorkAmounts } from '../predict/index.js';
import { countFaults } from '../predict/index.js';
import type { Kernel, KernelCosts } from './kernel-costs.js';

/** One kernel call. */
export interface Call {
  /** Position of the node. It is -1 for joining and slicing. */
  readonly node: number;
  /** Values that are read. They are -1 for constants and absent inputs. */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  /** Whether it is computed with the convolution before it. */
  readonly fused: boolean;
}

/** Sizes of all values in one kind of step, by value. */
export interface StepSizes {
  readonly bytes: number[];
  readonly rows: number[];
  /** Columns of each value. A value without an entry has those of the full map. */
  readonly cols: number[];
}

/** The kernel calls of a session in each step. */
export interface Calls {
  readonly calls: readonly Call[];
  /** Values that are copied in. */
  readonly ins: readonly number[];
  /** Values that are copied out. */
  readonly outs: readonly number[];
}

/** Makes sizes without values. */
export function emptySizes(): StepSizes {
  return { bytes: [], rows: [], cols: [] };
}

/** Returns the bytes of some values together. Values of -1 have none. */
export function sumBytes({ bytes }: StepSizes, values: readonly number[]): number {
  let sum = 0;
  for (const value of values) if (value >= 0) sum += bytes[value] as number;
  return sum;
}

/** Makes the call of a node that reads these values. @param before is the call right before it. */
export function callOf(
  { kernels }: KernelCosts,
  { node, reads, before }: Pick<Call, 'node' | 'reads'> & { readonly before: Call | undefined },
): Call {
  const { isActivation, writes } = elementAt(kernels, node);
  const isAfterConv = before !== undefined && kernels[before.node]?.isConv === true;
  const fused = isActivation && isAfterConv && reads[0] === before.writes[0];
  return { node, reads, writes, fused };
}

/** The costs of steps on one graph. */
export class StepCosts {
  readonly kernels: KernelCosts;
  readonly #cost: WorkAmounts;
  /** Last call that reads each value. It is -1 if none does, and infinite for values that the session doesn't free. */
  readonly #lastRead: number[] = [];

  constructor(kernels: KernelCosts, cost: WorkAmounts) {
    this.kernels = kernels;
    this.#cost = cost;
  }

  /** Returns the milliseconds of a step, without faults. */
  latency({ calls, ins, outs }: Calls, sizes: StepSizes): number {
    const cost = this.#cost;
    let ns = cost.steps + cost.copiedBytes * (sumBytes(sizes, ins) + sumBytes(sizes, outs));
    let ms = 0;
    for (const { node, reads, writes, fused } of calls) {
      if (fused) continue;
      if (this.kernels.kernels[node]?.multiplies === true) {
        ms += this.#kernelCost(node, sizes).ms;
      } else ns += cost.calls + cost.movedBytes * (sumBytes(sizes, reads) + sumBytes(sizes, writes));
    }
    return ms + ns / 1e6;
  }

  /** Returns the milliseconds that it takes to get the memory of a run from the system. */
  faults(run: RunPeak): number {
    const faults = countFaults(run);
    return (this.#cost.faultedBytes * faults.faultedBytes + this.#cost.hugeBytes * faults.hugeBytes) / 1e6;
  }

  /** Notes where each value dies. It is called once, before `peak` of each kind of step. */
  readLast({ calls, ins, outs }: Calls): void {
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
  peak(calls: readonly Call[], sizes: StepSizes): number {
    const last = this.#lastRead;
    const { bytes } = sizes;
    let [alive, peak] = [0, 0];
    for (let at = 0; at < calls.length; at += 1) {
      const call = calls[at] as Call;
      const { node, reads, writes } = call;
      const kernel = this.kernels.kernels[node];
      const reused = kernel?.runsInPlace === true ? this.#reusedInput(call, at, sizes) : -1;
      alive += sumBytes(sizes, writes);
      if (reused >= 0) alive -= bytes[reused] as number;
      const scratch = kernel?.isConv === true ? this.#kernelCost(node, sizes).scratchBytes : 0;
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

  #kernelCost(node: number, { rows, cols }: StepSizes) {
    const { writes } = this.kernels.kernels[node] as Kernel;
    const output = writes[0] as number;
    return this.kernels.of(node, rows[output] as number, cols[output]);
  }
}
