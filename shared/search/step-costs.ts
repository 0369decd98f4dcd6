/**
 * Latency and peak of one step of a session, over numbered values, by the rules of memory/latency.ts and
 * memory/lifetimes.ts. What is asked thousands of times stands in arrays.
 */

import type { RunPeak, WorkAmounts } from '../predict/index.js';
import { countFaults } from '../predict/index.js';
import type { KernelCosts } from './kernel-costs.js';

/** One kernel call. */
export interface Call {
  /** Position of the node; -1 for joining and slicing. */
  readonly node: number;
  /** Values; -1 for constants and absent ones. */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  /** Computed with the convolution before. */
  readonly fused: boolean;
}

/** By value: sizes in one kind of step. */
export interface StepSizes {
  readonly bytes: number[];
  readonly rows: number[];
  /** Columns of the full map where there is no entry. */
  readonly cols: number[];
}

/** What a session does in each step, and the values that are copied in and out. */
export interface Calls {
  readonly calls: readonly Call[];
  readonly ins: readonly number[];
  readonly outs: readonly number[];
}

export function emptySizes(): StepSizes {
  return { bytes: [], rows: [], cols: [] };
}

export function sumBytes({ bytes }: StepSizes, values: readonly number[]): number {
  let sum = 0;
  for (const value of values) if (value >= 0) sum += bytes[value] ?? 0;
  return sum;
}

/** The call of a node that reads these values, after those before it. */
export function callOf(
  { kernels }: KernelCosts,
  { node, reads, before }: Pick<Call, 'node' | 'reads'> & { readonly before: Call | undefined },
): Call {
  const kernel = kernels[node];
  const isAfterConv = before !== undefined && kernels[before.node]?.isConv === true;
  const fused = kernel?.isActivation === true && isAfterConv && reads[0] === before.writes[0];
  return { node, reads, writes: kernel?.writes ?? [], fused };
}

export class StepCosts {
  readonly kernels: KernelCosts;
  readonly #cost: WorkAmounts;
  /** By value: last call that reads it, -1 if none does; beyond all for what the session doesn't free. */
  readonly #lastRead: number[] = [];

  constructor(kernels: KernelCosts, cost: WorkAmounts) {
    this.kernels = kernels;
    this.#cost = cost;
  }

  /** Milliseconds. */
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

  /** Milliseconds that getting the memory of a run takes. */
  faults(run: RunPeak): number {
    const faults = countFaults(run);
    return (this.#cost.faultedBytes * faults.faultedBytes + this.#cost.hugeBytes * faults.hugeBytes) / 1e6;
  }

  /** Notes which values die where: asked for once before `peak` of each kind of step. */
  readLast({ calls, ins, outs }: Calls): void {
    const last = this.#lastRead;
    for (const { writes } of calls) for (const value of writes) last[value] = -1;
    for (let at = 0; at < calls.length; at += 1) {
      for (const value of calls[at]?.reads ?? []) if (value >= 0) last[value] = at;
    }
    // What comes from outside is the caller's.
    for (const value of ins) last[value] = Number.POSITIVE_INFINITY;
    for (const value of outs) last[value] = Number.POSITIVE_INFINITY;
  }

  /** Most bytes alive. */
  peak(calls: readonly Call[], sizes: StepSizes): number {
    const last = this.#lastRead;
    const { bytes } = sizes;
    let [alive, peak] = [0, 0];
    for (let at = 0; at < calls.length; at += 1) {
      const call = calls[at];
      if (call === undefined) continue;
      const { node, reads, writes } = call;
      const kernel = this.kernels.kernels[node];
      const reused = kernel?.runsInPlace === true ? this.#reusedInput(call, at, sizes) : -1;
      alive += sumBytes(sizes, writes) - (bytes[reused] ?? 0);
      const scratch = kernel?.isConv === true ? this.#kernelCost(node, sizes).scratchBytes : 0;
      if (alive + scratch > peak) peak = alive + scratch;
      for (let place = 0; place < reads.length; place += 1) {
        const value = reads[place] ?? -1;
        const dies = value >= 0 && value !== reused && last[value] === at && reads.indexOf(value) === place;
        if (dies) alive -= bytes[value] ?? 0;
      }
      for (const value of writes) if (last[value] === -1) alive -= bytes[value] ?? 0;
    }
    return peak;
  }

  /** An input that dies with an elementwise operator and is as large as its output. */
  #reusedInput({ reads, writes }: Call, at: number, { bytes }: StepSizes): number {
    const size = bytes[writes[0] ?? -1];
    for (let place = 0; place < 2; place += 1) {
      const value = reads[place] ?? -1;
      if (value >= 0 && this.#lastRead[value] === at && bytes[value] === size) return value;
    }
    return -1;
  }

  #kernelCost(node: number, { rows, cols }: StepSizes) {
    const output = this.kernels.kernels[node]?.writes[0] ?? -1;
    return this.kernels.of(node, rows[output] ?? 1, cols[output]);
  }
}
