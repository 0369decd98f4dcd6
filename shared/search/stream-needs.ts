/**
 * This file finds the needs of a stream as `predict/predict.ts` does, but without building its session, since the
 * search asks for thousands. Its oracle is the predictor itself (test/search/stream-needs.test.ts).
 *
 * 1. Lay the steps (stream-schedule.ts).
 * 2. List the kernel calls over numbered values. They are nodes, and the joining and slicing of rows between them. The
 *    rows that the stream adds are numbered on after the graph's tensors.
 * 3. Add up latency and held bytes over the kinds of steps, and find the largest peak.
 *
 * Reads of sizes are casts, since every value of a call has a size, and a check of each would be felt.
 */

import type { Graph } from '../graph/index.js';
import { BYTES_PER_ELEMENT, elementAt, elementCount, knownShape, tensorAt } from '../graph/index.js';
import type { Edge, Flow } from '../tile/index.js';
import type { Call, StepCosts, StepSizes } from './step-costs.js';
import { callOf, emptySizes, sumBytes } from './step-costs.js';
import { nextWindow, rowsAt, StreamSchedule, windowEnd } from './stream-schedule.js';

/** The needs of a segment that runs step by step. */
export interface StreamNeed {
  readonly latencyMs: number;
  /** Bytes that stand as long as the segment runs. */
  readonly heldBytes: number;
  /** Bytes of the largest step. */
  readonly stepBytes: number;
}

/** Rows by kind of step. */
type Rows = readonly [first: number, middle: number, last: number];

/** An operand that was made for a node, with the fields of `StreamOperand`. Operands that are made alike share it. */
interface Made {
  readonly tensor: number;
  readonly top: number;
  readonly kept: number;
  readonly bottom: number;
  readonly fill: number;
  readonly takes: Rows | undefined;
  /** Value that the node reads. */
  readonly used: number;
}

/** Kinds of steps: first, middle, last. */
const KINDS = [0, 1, 2] as const;

/** The needs of streams of one graph. */
export class StreamNeeds {
  readonly schedule: StreamSchedule;
  readonly #graph: Graph;
  readonly #costs: StepCosts;
  /** Bytes of one row of each value. A value without space counts as one row. */
  readonly #rowBytes: number[] = [];
  /** Sizes by kind of step. */
  readonly #sizes = [emptySizes(), emptySizes(), emptySizes()] as const;
  #flow: Flow | undefined;
  #calls: Call[] = [];
  #made: Made[] = [];
  /** Values that are copied in for each step. */
  #ins: number[] = [];
  /** Values that are copied out after each step. */
  #outs: number[] = [];
  /** Values that stand between steps. */
  #carried: number[] = [];
  /** Number of the next value. */
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
      const kernel = elementAt(this.#costs.kernels.kernels, at);
      for (const tensor of kernel.reads) if (tensor >= 0) this.#measure(tensor, flow);
      for (const tensor of kernel.writes) this.#measure(tensor, flow);
    }
  }

  /** Finds the needs of the stream that moves `units` total strides a step. @returns undefined if there is none. */
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

  /** Returns the most new rows of a tensor in any step of the stream that was laid last. */
  mostRows(tensor: number): number {
    const { first, middle, last, middleSteps } = this.schedule;
    const inMiddle = middleSteps > 0 ? rowsAt(middle, tensor) : 0;
    return Math.max(rowsAt(first, tensor), inMiddle, rowsAt(last, tensor));
  }

  /** Notes the size of a row of a tensor, and one row of it as its size until steps are laid. */
  #measure(tensor: number, { space }: Flow): void {
    const { dtype } = tensorAt(this.#graph, tensor);
    const shape = knownShape(tensorAt(this.#graph, tensor));
    const hasSpace = space.scales.has(tensor);
    const count = hasSpace ? elementCount(shape) / elementAt(shape, 2) : elementCount(shape);
    this.#rowBytes[tensor] = count * BYTES_PER_ELEMENT[dtype];
    for (const kind of KINDS) this.#setSize(this.#sizes[kind], tensor, 1);
  }

  #setSize({ rows, bytes }: StepSizes, value: number, count: number): void {
    rows[value] = count;
    bytes[value] = count * (this.#rowBytes[value] as number);
  }

  #setRows(): void {
    const { first, middle, last, tensors } = this.schedule;
    const [inFirst, inMiddle, inLast] = this.#sizes;
    for (const tensor of tensors) {
      this.#setSize(inFirst, tensor, rowsAt(first, tensor));
      this.#setSize(inMiddle, tensor, rowsAt(middle, tensor));
      this.#setSize(inLast, tensor, rowsAt(last, tensor));
    }
  }

  /** Lists the kernel calls of a step. @returns false if rows would be kept of an operand that isn't float32. */
  #listCalls(flow: Flow): boolean {
    const { inputs, outputs } = flow.space.boundary;
    [this.#calls, this.#made, this.#carried] = [[], [], []];
    [this.#ins, this.#outs] = [[...inputs], [...outputs]];
    this.#values = this.#graph.tensors.length;
    let edge = 0;
    for (let at = flow.range.from; at < flow.range.to; at += 1) {
      const kernel = elementAt(this.#costs.kernels.kernels, at);
      let reads: number[] | undefined;
      for (let operand = flow.edges[edge]; operand?.node === at; operand = flow.edges[edge]) {
        edge += 1;
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

  /** Returns the value that a node reads instead of a tensor. @returns undefined if it can't be made. */
  #operand({ tensor, outputs, rule, fill, exact }: Edge): number | undefined {
    const { first, middle, last, total } = this.schedule;
    const made = elementAt(outputs, 0);
    const top = rule.pad;
    const kept = rowsAt(first, tensor) - nextWindow(rule, rowsAt(first, made));
    const bottom = Math.max(0, windowEnd(rule, rowsAt(total, made)) - rowsAt(total, tensor));
    const { up, stride, extent } = rule;
    const used = (rows: Float64Array) => (Math.ceil(rowsAt(rows, made) / up) - 1) * stride + extent;
    const takes: Rows = [used(first), used(middle), used(last)];
    const allowed = exact ? 1 : stride;
    const isAll =
      isWithin(top + rowsAt(first, tensor) - takes[0], allowed) &&
      isWithin(kept + rowsAt(middle, tensor) - takes[1], allowed) &&
      isWithin(kept + rowsAt(last, tensor) + bottom - takes[2], allowed);
    if (top <= 0 && kept <= 0 && bottom <= 0 && isAll) return tensor;
    if (tensorAt(this.#graph, tensor).dtype !== 'float32') return undefined;
    return this.#make({ tensor, top, kept, bottom, fill, takes: isAll ? undefined : takes });
  }

  /** Makes an operand, unless it was made before. @returns the value that the node reads. */
  #make(wanted: Omit<Made, 'used'>): number {
    for (const known of this.#made) if (isAlike(known, wanted)) return known.used;
    const { tensor, top, kept, bottom, takes } = wanted;
    const [inFirst, inMiddle, inLast] = this.#sizes;
    const rowsIn = ({ rows }: StepSizes) => rows[tensor] as number;
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
    this.#rowBytes[value] = this.#rowBytes[tensor] as number;
    for (const kind of KINDS) this.#setSize(this.#sizes[kind], value, rows[kind]);
    return value;
  }

  #copy(from: number, to: number): void {
    this.#calls.push({ node: -1, reads: [from], writes: [to], fused: false });
  }

  #heldBytes(): number {
    return this.#largest(this.#ins) + this.#largest(this.#outs) + this.#largest(this.#carried);
  }

  /** Returns the bytes of the buffers of some values, each as large as the largest step asks. */
  #largest(values: readonly number[]): number {
    const [inFirst, inMiddle, inLast] = this.#sizes;
    const hasMiddle = this.schedule.middleSteps > 0;
    let sum = 0;
    for (const value of values) {
      const middle = hasMiddle ? (inMiddle.bytes[value] as number) : 0;
      sum += Math.max(inFirst.bytes[value] as number, middle, inLast.bytes[value] as number);
    }
    return sum;
  }
}

/** Whether no rows are left over, or so few that the operator ignores them. */
function isWithin(surplus: number, allowed: number): boolean {
  return surplus === 0 || (surplus > 0 && surplus < allowed);
}

/** Whether two operands are made of the same rows. */
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
