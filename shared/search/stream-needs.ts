/**
 * What a stream needs, as `memory/predict.ts` says of its session, without building the session: the search asks for
 * thousands. Its oracle is the predictor itself (test/search/stream-needs.test.ts).
 *
 * 1. Lay the steps (stream-schedule.ts). 2. List the kernel calls: nodes, and the joining and slicing of rows between
 * them, over numbered values; those behind the graph's tensors are rows that the stream adds. 3. For each kind of
 * step add up latency, held bytes, and the peak of what is alive.
 */
import type { Graph } from '../graph/graph.js';
import { BYTES_PER_ELEMENT, elementCount, knownShape, tensorAt } from '../graph/graph.js';
import type { Work } from '../memory/device-profile.js';
import { faultedBytes } from '../memory/latency.js';
import type { Edge, Flow } from '../tile/stream.js';
import type { KernelCosts } from './kernel-costs.js';
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

interface Call {
  /** Position of the node; -1 for joining and slicing. */
  readonly node: number;
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  readonly fused: boolean;
}

const KINDS = [0, 1, 2] as const;

export class StreamNeeds {
  readonly schedule: StreamSchedule;
  readonly #graph: Graph;
  readonly #costs: KernelCosts;
  readonly #cost: Work;
  /** Bytes of one row of each value, of all of it where it has no space. */
  readonly #rowBytes: number[] = [];
  readonly #rows: readonly [number[], number[], number[]] = [[], [], []];
  readonly #lastRead: number[] = [];
  #flow: Flow | undefined;
  #calls: Call[] = [];
  #made: Made[] = [];
  /** Copied in and out in each step, and standing. */
  #ins: number[] = [];
  #outs: number[] = [];
  #carried: number[] = [];
  #values = 0;

  constructor(graph: Graph, costs: KernelCosts, cost: Work) {
    this.schedule = new StreamSchedule(graph);
    this.#graph = graph;
    this.#costs = costs;
    this.#cost = cost;
  }

  /** Takes up a range. */
  begin(flow: Flow): void {
    this.#flow = flow;
    this.schedule.begin(flow);
    for (let at = flow.range.from; at < flow.range.to; at += 1) {
      const kernel = this.#costs.kernels[at];
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
    this.#findLastReads();
    let [latencyMs, stepBytes] = [0, 0];
    for (const kind of KINDS) {
      const count = kind === 1 ? this.schedule.middleSteps : 1;
      if (count === 0) continue;
      const run = { peakBytes: this.#peak(kind), outputBytes: this.#sum(this.#outs, kind) };
      const faultsMs = (this.#cost.faultedBytes * faultedBytes(run)) / 1e6;
      latencyMs += count * (this.#latency(kind) + faultsMs);
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
    for (const kind of KINDS) this.#rows[kind][tensor] = 1;
  }

  #setRows(): void {
    const { first, middle, last, tensors } = this.schedule;
    const [inFirst, inMiddle, inLast] = this.#rows;
    for (const tensor of tensors) {
      inFirst[tensor] = first[tensor] ?? 0;
      inMiddle[tensor] = middle[tensor] ?? 0;
      inLast[tensor] = last[tensor] ?? 0;
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
      const kernel = this.#costs.kernels[at];
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
      this.#callNode(at, reads ?? kernel.reads);
    }
    return true;
  }

  #callNode(at: number, reads: readonly number[]): void {
    const kernel = this.#costs.kernels[at];
    const before = this.#calls.at(-1);
    const conv = before === undefined ? undefined : this.#costs.kernels[before.node];
    const fused = kernel?.isActivation === true && conv?.isConv === true && reads[0] === before?.writes[0];
    this.#calls.push({ node: at, reads, writes: kernel?.writes ?? [], fused });
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
    const rows = [
      this.#rows[0][tensor] ?? 0,
      this.#rows[1][tensor] ?? 0,
      this.#rows[2][tensor] ?? 0,
    ] as const;
    let joined = tensor;
    if (top > 0 || kept > 0) this.#carried.push(this.#addValue(tensor, [top, kept, kept]));
    if (bottom > 0) this.#carried.push(this.#addValue(tensor, [0, 0, bottom]));
    if (top > 0 || kept > 0 || bottom > 0) {
      joined = this.#addValue(tensor, [top + rows[0], kept + rows[1], kept + rows[2] + bottom]);
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
    for (const kind of KINDS) this.#rows[kind][value] = rows[kind];
    return value;
  }

  #copy(from: number, to: number): void {
    this.#calls.push({ node: -1, reads: [from], writes: [to], fused: false });
  }

  #bytes(value: number, kind: 0 | 1 | 2): number {
    return value < 0 ? 0 : (this.#rowBytes[value] ?? 0) * (this.#rows[kind][value] ?? 0);
  }

  #sum(values: readonly number[], kind: 0 | 1 | 2): number {
    let bytes = 0;
    for (const value of values) bytes += this.#bytes(value, kind);
    return bytes;
  }

  #heldBytes(): number {
    return this.#largest(this.#ins) + this.#largest(this.#outs) + this.#largest(this.#carried);
  }

  /** Buffers, each as large as the largest step asks. */
  #largest(values: readonly number[]): number {
    const hasMiddle = this.schedule.middleSteps > 0;
    let bytes = 0;
    for (const value of values) {
      const inMiddle = hasMiddle ? this.#bytes(value, 1) : 0;
      bytes += Math.max(this.#bytes(value, 0), inMiddle, this.#bytes(value, 2));
    }
    return bytes;
  }

  #latency(kind: 0 | 1 | 2): number {
    const { steps, copiedBytes, calls, movedBytes } = this.#cost;
    let ns = steps + copiedBytes * (this.#sum(this.#ins, kind) + this.#sum(this.#outs, kind));
    let ms = 0;
    for (const { node, reads, writes, fused } of this.#calls) {
      if (fused) continue;
      if (this.#costs.kernels[node]?.multiplies === true) {
        ms += this.#costs.of(node, this.#rows[kind][writes[0] ?? -1] ?? 0).ms;
      } else ns += calls + movedBytes * (this.#sum(reads, kind) + this.#sum(writes, kind));
    }
    return ms + ns / 1e6;
  }

  #findLastReads(): void {
    const last = this.#lastRead;
    for (const { writes } of this.#calls) for (const value of writes) last[value] = -1;
    // What comes from outside is the caller's.
    for (const input of this.#ins) last[input] = -1;
    for (const value of this.#carried) last[value] = -1;
    for (const [at, { reads }] of this.#calls.entries()) {
      for (const value of reads) if (value >= 0) last[value] = at;
    }
    for (const input of this.#ins) last[input] = Number.POSITIVE_INFINITY;
    for (const output of this.#outs) last[output] = Number.POSITIVE_INFINITY;
  }

  /** Most bytes alive in a step, by the rules of memory/lifetimes.ts. */
  #peak(kind: 0 | 1 | 2): number {
    let [alive, peak] = [0, 0];
    for (const [at, { node, reads, writes }] of this.#calls.entries()) {
      const kernel = this.#costs.kernels[node];
      const reused = kernel?.runsInPlace === true ? this.#reusedInput(at, kind) : -1;
      alive += this.#sum(writes, kind) - this.#bytes(reused, kind);
      const scratch = kernel?.isConv === true ? this.#scratch(node, kind) : 0;
      if (alive + scratch > peak) peak = alive + scratch;
      for (const [place, value] of reads.entries()) {
        const dies = value >= 0 && this.#lastRead[value] === at && reads.indexOf(value) === place;
        if (dies && value !== reused) alive -= this.#bytes(value, kind);
      }
      for (const value of writes) if (this.#lastRead[value] === -1) alive -= this.#bytes(value, kind);
    }
    return peak;
  }

  /** An input that dies with an elementwise operator and is as large as its output. */
  #reusedInput(at: number, kind: 0 | 1 | 2): number {
    const { reads = [], writes = [] } = this.#calls[at] ?? {};
    const size = this.#bytes(writes[0] ?? -1, kind);
    for (let place = 0; place < 2; place += 1) {
      const value = reads[place] ?? -1;
      if (value >= 0 && this.#lastRead[value] === at && this.#bytes(value, kind) === size) return value;
    }
    return -1;
  }

  #scratch(node: number, kind: 0 | 1 | 2): number {
    const output = this.#costs.kernels[node]?.writes[0] ?? -1;
    return this.#costs.of(node, this.#rows[kind][output] ?? 0).scratchBytes;
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
