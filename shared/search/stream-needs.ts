/**
 * What a stream needs, as `memory/predict.ts` says of its session, without building the session: the search asks for
 * thousands. Its oracle is the predictor itself (test/search/stream-needs.test.ts).
 *
 * 1. Lay the steps (stream-schedule.ts). 2. List the kernel calls: nodes, and the joining and slicing of rows between
 * them, over numbered values; those behind the graph's tensors are rows that the stream adds. 3. For each kind of
 * step add up latency, held bytes, and the peak of what is alive.
 */

import type { Graph } from '../graph/index.js';
import { BYTES_PER_ELEMENT, elementCount, knownShape, tensorAt } from '../graph/index.js';
import type { Edge, Flow } from '../tile/index.js';
import type { Call, StepCosts, StepSizes } from './step-costs.js';
import { callOf, emptySizes, sumBytes } from './step-costs.js';
import { nextWindow, StreamSchedule, windowEnd } from './stream-schedule.js';

export interface StreamNeed {
  readonly latencyMs: number;
  readonly heldBytes: number;
  readonly stepBytes: number;
}

/** Rows by kind of step. */
type Rows = readonly [first: number, middle: number, last: number];

/** An operand that was made for a node; others that are made alike use it, too. */
interface Made {
  readonly tensor: number;
  readonly top: number;
  readonly kept: number;
  readonly bottom: number;
  readonly fill: number;
  readonly takes: Rows | undefined;
  readonly used: number;
}

const KINDS = [0, 1, 2] as const;

export class StreamNeeds {
  readonly schedule: StreamSchedule;
  readonly #graph: Graph;
  readonly #costs: StepCosts;
  /** Bytes of one row of each value, of all of it where it has no space. */
  readonly #rowBytes: number[] = [];
  readonly #sizes = [emptySizes(), emptySizes(), emptySizes()] as const;
  #flow: Flow | undefined;
  #calls: Call[] = [];
  #made: Made[] = [];
  /** Copied in and out in each step, and standing. */
  #ins: number[] = [];
  #outs: number[] = [];
  #carried: number[] = [];
  #values = 0;

  constructor(graph: Graph, costs: StepCosts) {
    this.schedule = new StreamSchedule(graph);
    this.#graph = graph;
    this.#costs = costs;
  }

  /** Takes up a range. */
  begin(flow: Flow): void {
    this.#flow = flow;
    this.schedule.begin(flow);
    for (let at = flow.range.from; at < flow.range.to; at += 1) {
      const kernel = this.#costs.kernels.kernels[at];
      if (kernel === undefined) continue;
      for (const tensor of kernel.reads) if (tensor >= 0) this.#measure(tensor, flow);
      for (const tensor of kernel.writes) this.#measure(tensor, flow);
    }
  }

  /** Of the stream that moves `units` total strides a step; undefined if there is none. */
  of(units: number): StreamNeed | undefined {
    const flow = this.#flow;
    if (flow === undefined || !this.schedule.lay(units)) return undefined;
    this.#setRows();
    if (!this.#listCalls(flow)) return undefined;
    const session = { calls: this.#calls, ins: this.#ins, outs: this.#outs };
    this.#costs.readLast(session);
    let [latencyMs, stepBytes] = [0, 0];
    for (const kind of KINDS) {
      const count = kind === 1 ? this.schedule.middleSteps : 1;
      if (count === 0) continue;
      const sizes = this.#sizes[kind];
      const run = {
        peakBytes: this.#costs.peak(this.#calls, sizes),
        outputBytes: sumBytes(sizes, this.#outs),
      };
      latencyMs += count * (this.#costs.latency(session, sizes) + this.#costs.faults(run));
      stepBytes = Math.max(stepBytes, run.peakBytes, 2 * run.outputBytes);
    }
    return { latencyMs, heldBytes: this.#heldBytes(), stepBytes };
  }

  /** Most new rows of a tensor in any step of the stream that was laid last. */
  mostRows(tensor: number): number {
    const { first, middle, last, middleSteps } = this.schedule;
    const inMiddle = middleSteps > 0 ? (middle[tensor] ?? 0) : 0;
    return Math.max(first[tensor] ?? 0, inMiddle, last[tensor] ?? 0);
  }

  #measure(tensor: number, { space }: Flow): void {
    const { dtype } = tensorAt(this.#graph, tensor);
    const shape = knownShape(tensorAt(this.#graph, tensor));
    const hasSpace = space.scales.has(tensor);
    const count = hasSpace ? (shape[0] ?? 1) * (shape[1] ?? 1) * (shape[3] ?? 1) : elementCount(shape);
    this.#rowBytes[tensor] = count * BYTES_PER_ELEMENT[dtype];
    for (const kind of KINDS) this.#setSize(this.#sizes[kind], tensor, 1);
  }

  #setSize({ rows, bytes }: StepSizes, value: number, count: number): void {
    rows[value] = count;
    bytes[value] = count * (this.#rowBytes[value] ?? 0);
  }

  #setRows(): void {
    const { first, middle, last, tensors } = this.schedule;
    const [inFirst, inMiddle, inLast] = this.#sizes;
    for (const tensor of tensors) {
      this.#setSize(inFirst, tensor, first[tensor] ?? 0);
      this.#setSize(inMiddle, tensor, middle[tensor] ?? 0);
      this.#setSize(inLast, tensor, last[tensor] ?? 0);
    }
  }

  /** @returns false if an operand isn't float32, as which rows are kept. */
  #listCalls(flow: Flow): boolean {
    const { inputs, outputs } = flow.space.boundary;
    [this.#calls, this.#made, this.#carried] = [[], [], []];
    [this.#ins, this.#outs] = [[...inputs], [...outputs]];
    this.#values = this.#graph.tensors.length;
    let edge = 0;
    for (let at = flow.range.from; at < flow.range.to; at += 1) {
      const kernel = this.#costs.kernels.kernels[at];
      if (kernel === undefined) continue;
      let reads: number[] | undefined;
      for (; flow.edges[edge]?.node === at; edge += 1) {
        const operand = flow.edges[edge];
        if (operand === undefined) continue;
        const used = this.#operand(operand);
        if (used === undefined) return false;
        if (used !== operand.tensor) {
          reads ??= [...kernel.reads];
          reads[operand.input] = used;
        }
      }
      const call = { node: at, reads: reads ?? kernel.reads, before: this.#calls.at(-1) };
      this.#calls.push(callOf(this.#costs.kernels, call));
    }
    return true;
  }

  /** The value that a node reads instead of a tensor; undefined if it can't be made. */
  #operand({ tensor, outputs, rule, fill, exact }: Edge): number | undefined {
    const { first, middle, last, total } = this.schedule;
    const made = outputs[0] ?? -1;
    const top = rule.pad;
    const kept = (first[tensor] ?? 0) - nextWindow(rule, first[made] ?? 0);
    const bottom = Math.max(0, windowEnd(rule, total[made] ?? 0) - (total[tensor] ?? 0));
    const { up, stride, extent } = rule;
    const used = (rows: number) => (Math.ceil(rows / up) - 1) * stride + extent;
    const takes: Rows = [used(first[made] ?? 0), used(middle[made] ?? 0), used(last[made] ?? 0)];
    const allowed = exact ? 1 : stride;
    const isAll =
      isWithin(top + (first[tensor] ?? 0) - takes[0], allowed) &&
      isWithin(kept + (middle[tensor] ?? 0) - takes[1], allowed) &&
      isWithin(kept + (last[tensor] ?? 0) + bottom - takes[2], allowed);
    if (top <= 0 && kept <= 0 && bottom <= 0 && isAll) return tensor;
    if (tensorAt(this.#graph, tensor).dtype !== 'float32') return undefined;
    return this.#make({ tensor, top, kept, bottom, fill, takes: isAll ? undefined : takes });
  }

  #make(wanted: Omit<Made, 'used'>): number {
    for (const known of this.#made) if (isAlike(known, wanted)) return known.used;
    const { tensor, top, kept, bottom, takes } = wanted;
    const [inFirst, inMiddle, inLast] = this.#sizes;
    const rowsIn = ({ rows }: StepSizes) => rows[tensor] ?? 0;
    let joined = tensor;
    if (top > 0 || kept > 0) this.#carried.push(this.#addValue(tensor, [top, kept, kept]));
    if (bottom > 0) this.#carried.push(this.#addValue(tensor, [0, 0, bottom]));
    if (top > 0 || kept > 0 || bottom > 0) {
      joined = this.#addValue(tensor, [
        top + rowsIn(inFirst),
        kept + rowsIn(inMiddle),
        kept + rowsIn(inLast) + bottom,
      ]);
      this.#copy(tensor, joined);
    }
    if (kept > 0) {
      const next = this.#addValue(tensor, [kept, kept, kept]);
      this.#outs.push(next);
      this.#copy(joined, next);
    }
    let used = joined;
    if (takes !== undefined) {
      used = this.#addValue(tensor, takes);
      this.#copy(joined, used);
    }
    this.#made.push({ ...wanted, used });
    return used;
  }

  #addValue(tensor: number, rows: Rows): number {
    const value = this.#values;
    this.#values += 1;
    this.#rowBytes[value] = this.#rowBytes[tensor] ?? 0;
    for (const kind of KINDS) this.#setSize(this.#sizes[kind], value, rows[kind]);
    return value;
  }

  #copy(from: number, to: number): void {
    this.#calls.push({ node: -1, reads: [from], writes: [to], fused: false });
  }

  #heldBytes(): number {
    return this.#largest(this.#ins) + this.#largest(this.#outs) + this.#largest(this.#carried);
  }

  /** Buffers, each as large as the largest step asks. */
  #largest(values: readonly number[]): number {
    const [inFirst, inMiddle, inLast] = this.#sizes;
    const hasMiddle = this.schedule.middleSteps > 0;
    let sum = 0;
    for (const value of values) {
      const middle = hasMiddle ? (inMiddle.bytes[value] ?? 0) : 0;
      sum += Math.max(inFirst.bytes[value] ?? 0, middle, inLast.bytes[value] ?? 0);
    }
    return sum;
  }
}

function isWithin(surplus: number, allowed: number): boolean {
  return surplus === 0 || (surplus > 0 && surplus < allowed);
}

function isAlike(a: Omit<Made, 'used'>, b: Omit<Made, 'used'>): boolean {
  return (
    a.tensor === b.tensor &&
    a.top === b.top &&
    a.kept === b.kept &&
    a.bottom === b.bottom &&
    a.fill === b.fill &&
    a.takes?.[0] === b.takes?.[0] &&
    a.takes?.[1] === b.takes?.[1] &&
    a.takes?.[2] === b.takes?.[2]
  );
}
