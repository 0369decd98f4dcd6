/**
 * This file makes the sessions of streams, without building their graphs, since the search asks for thousands.
 *
 * 1. Lay the steps (tile/stream-schedule.ts).
 * 2. List the kernel calls over numbered values. They are nodes, and the joining and slicing of rows between them. The
 *    rows that the stream adds are numbered on after the graph's tensors.
 * 3. Set the sizes of all values in the first step, in a middle one and in the last.
 *
 * The oracle is the layout of the graph that is run, `layoutLink` (test/predict/stream-sessions.test.ts).
 */

import type { Graph, NodeRange } from '../graph/index.js';
import { BYTES_PER_ELEMENT, elementAt, elementCount, knownShape, present, tensorAt } from '../graph/index.js';
import type { Flow, Grid, Phase, StreamCrop, StreamOperand } from '../tile/index.js';
import {
  cropOf,
  isChanged,
  operandOf,
  PHASES,
  rowsAt,
  STREAMED_TYPES,
  StreamSchedule,
  tileGraph,
  tilesByShape,
} from '../tile/index.js';
import type { KernelCosts } from './kernel-costs.js';
import type { Call, Session, SessionSteps, StepKind, StepSizes } from './session.js';
import { callOf, emptySizes } from './session.js';

/** Rows of a value by phase. */
type Rows = Readonly<Record<Phase, number>>;

/** Tiles of one shape that are streamed. */
export interface TileFlow {
  /** Flow whose graph has maps as small as in the tiles. */
  readonly flow: Flow;
  /** Number of the tiles. */
  readonly tiles: number;
}

/** Lists the flows of a grid's tiles, by shape. A single tile is the map itself. */
export function tileFlows(flow: Flow, grid: Grid): readonly TileFlow[] {
  const shapes = tilesByShape(grid, flow.space.reference);
  return shapes.map(({ example, tiles: { length: tiles } }) => ({
    flow: shapes.length * tiles === 1 ? flow : { ...flow, graph: tileGraph(flow.graph, example) },
    tiles,
  }));
}

/** Makes the sessions of one graph's streams, one after the other. */
export class StreamSessions {
  readonly #schedule: StreamSchedule;
  readonly #graph: Graph;
  readonly #kernels: KernelCosts;
  /** Bytes of one row of each value. A value without space counts as one row. */
  readonly #rowBytes: number[] = [];
  readonly #sizes: Readonly<Record<Phase, StepSizes>> = {
    first: emptySizes(),
    middle: emptySizes(),
    last: emptySizes(),
  };
  #flow: Flow | undefined;
  /** Operands that were made, each with the value that nodes read. */
  #made: (readonly [StreamOperand, number])[] = [];
  #calls: Call[] = [];
  #outs: number[] = [];
  /** Values that stand between steps. */
  #carried: number[] = [];
  /** Number of the next value. */
  #values = 0;

  constructor(graph: Graph, kernels: KernelCosts) {
    this.#schedule = new StreamSchedule(graph);
    this.#graph = graph;
    this.#kernels = kernels;
  }

  /**
   * Makes the session that moves `units` total strides a step, for tiles of these shapes, one shape after the other.
   * All have the same calls and values, in other sizes. Its steps may be asked for once.
   *
   * @returns undefined if tiles of the first shape can't be streamed so.
   */
  lay(shapes: readonly TileFlow[], units: number): SessionSteps | undefined {
    const { range } = elementAt(shapes, 0).flow;
    const session = this.#layOne(elementAt(shapes, 0).flow, units);
    if (session === undefined) return undefined;
    const stepsOf = ({ flow, tiles }: TileFlow, at: number): readonly StepKind[] => {
      if (at > 0) present(this.#layOne(flow, units), 'schedule of a tile');
      return this.#steps().map(({ sizes, count }) => ({ sizes, count: count * tiles }));
    };
    const steps = function* (): Generator<StepKind> {
      for (const [at, shape] of shapes.entries()) yield* stepsOf(shape, at);
    };
    return { range, session, steps: steps() };
  }

  /** Returns the most new rows of a tensor in any step of the stream that was laid last. */
  mostRows(tensor: number): number {
    return Math.max(...this.#steps().map(({ sizes }) => sizes.rows[tensor] as number));
  }

  #layOne(flow: Flow, units: number): Session | undefined {
    this.#begin(flow);
    const schedule = this.#schedule;
    if (!schedule.lay(units)) return undefined;
    for (const phase of PHASES) {
      for (const tensor of schedule.tensors)
        this.#setRows(this.#sizes[phase], tensor, rowsAt(schedule[phase], tensor));
    }
    return this.#list(flow);
  }

  /** Takes up a range. */
  #begin(flow: Flow): void {
    if (flow === this.#flow) return;
    this.#flow = flow;
    this.#schedule.begin(flow);
    for (let at = flow.range.from; at < flow.range.to; at += 1) {
      const { reads, writes } = elementAt(this.#kernels.kernels, at);
      for (const tensor of reads) if (tensor >= 0) this.#measure(tensor, flow);
      for (const tensor of writes) this.#measure(tensor, flow);
    }
  }

  #steps(): readonly StepKind[] {
    const { first, middle, last } = this.#sizes;
    const { middleSteps } = this.#schedule;
    const between = middleSteps === 0 ? [] : [{ sizes: middle, count: middleSteps }];
    return [{ sizes: first, count: 1 }, ...between, { sizes: last, count: 1 }];
  }

  /** Notes the size of a row of a tensor, and one row of it as its size until steps are laid. */
  #measure(tensor: number, { graph, space }: Flow): void {
    const { dtype } = tensorAt(graph, tensor);
    const shape = knownShape(tensorAt(graph, tensor));
    const count = elementCount(shape);
    const rows = space.scales.has(tensor) ? elementAt(shape, 2) : 1;
    this.#rowBytes[tensor] = (count / rows) * BYTES_PER_ELEMENT[dtype];
    for (const phase of PHASES) {
      this.#setRows(this.#sizes[phase], tensor, 1);
      this.#sizes[phase].cols[tensor] = shape[3] ?? 1;
    }
  }

  #setRows({ rows, bytes }: StepSizes, value: number, count: number): void {
    rows[value] = count;
    bytes[value] = count * (this.#rowBytes[value] as number);
  }

  /** Lists the kernel calls of a step. @returns undefined if rows of an operand would be kept whose type has no streams. */
  #list(flow: Flow): Session | undefined {
    const { range, space, edges } = flow;
    const { inputs, outputs } = space.boundary;
    [this.#calls, this.#made, this.#carried, this.#outs] = [[], [], [], [...outputs]];
    this.#values = this.#graph.tensors.length;
    const operands = edges.map((edge) => operandOf(edge, this.#schedule)).filter(isChanged);
    if (operands.some(({ tensor }) => !STREAMED_TYPES.has(tensorAt(this.#graph, tensor).dtype)))
      return undefined;
    this.#listCalls(range, operands, this.#crops(flow));
    const held = [...inputs, ...this.#outs, ...this.#carried];
    return { calls: this.#calls, ins: inputs, outs: this.#outs, held };
  }

  /** Finds the outputs to crop, by node. */
  #crops({ graph, edges }: Flow): ReadonlyMap<number, StreamCrop> {
    const crops = new Map<number, StreamCrop>();
    for (const edge of edges) {
      const crop = cropOf(graph, edge, this.#schedule);
      if (crop !== undefined) crops.set(crop.node, crop);
    }
    return crops;
  }

  #listCalls(
    { from, to }: NodeRange,
    operands: readonly StreamOperand[],
    crops: ReadonlyMap<number, StreamCrop>,
  ): void {
    let next = 0;
    for (let node = from; node < to; node += 1) {
      let { reads } = elementAt(this.#kernels.kernels, node);
      for (let operand = operands[next]; operand?.node === node; operand = operands[next]) {
        next += 1;
        reads = reads.with(operand.input, this.#valueOf(operand));
      }
      const call = callOf(this.#kernels, { node, reads, before: this.#calls.at(-1) });
      const crop = crops.get(node);
      if (crop === undefined) this.#calls.push(call);
      else this.#crop(call, crop);
    }
  }

  /** Lists a call that gives more than the new rows, and the one that crops them. */
  #crop(call: Call, { tensor, made }: StreamCrop): void {
    const value = this.#add(tensor, made);
    this.#calls.push({ ...call, writes: [value] });
    this.#calls.push({ node: -1, reads: [value], writes: [tensor], fused: false });
  }

  /** Returns the value that a node reads instead of a tensor. Operands that are made alike share it. */
  #valueOf(operand: StreamOperand): number {
    for (const [known, value] of this.#made) if (isAlike(known, operand)) return value;
    const { tensor, top, kept, bottom, takes } = operand;
    const { first, middle, last } = this.#sizes;
    const rowsIn = ({ rows }: StepSizes) => rows[tensor] as number;
    let value = tensor;
    if (top > 0 || kept > 0) this.#carried.push(this.#add(tensor, { first: top, middle: kept, last: kept }));
    if (bottom > 0) this.#carried.push(this.#add(tensor, { first: 0, middle: 0, last: bottom }));
    if (top > 0 || kept > 0 || bottom > 0) {
      value = this.#copy(tensor, {
        first: top + rowsIn(first),
        middle: kept + rowsIn(middle),
        last: kept + rowsIn(last) + bottom,
      });
    }
    if (kept > 0) this.#outs.push(this.#copy(value, { first: kept, middle: kept, last: kept }));
    if (takes !== undefined) value = this.#copy(value, takes);
    this.#made.push([operand, value]);
    return value;
  }

  /** Adds a value of other rows than another, and the call that makes it of that one. */
  #copy(from: number, rows: Rows): number {
    const value = this.#add(from, rows);
    this.#calls.push({ node: -1, reads: [from], writes: [value], fused: false });
    return value;
  }

  #add(like: number, rows: Rows): number {
    const value = this.#values;
    this.#values += 1;
    this.#rowBytes[value] = this.#rowBytes[like] as number;
    for (const phase of PHASES) {
      const sizes = this.#sizes[phase];
      this.#setRows(sizes, value, rows[phase]);
      sizes.cols[value] = sizes.cols[like] as number;
    }
    return value;
  }
}

/** Whether two operands are made of the same rows. */
function isAlike(a: StreamOperand, b: StreamOperand): boolean {
  return (
    a.tensor === b.tensor &&
    a.top === b.top &&
    a.kept === b.kept &&
    a.bottom === b.bottom &&
    a.fill === b.fill &&
    PHASES.every((phase) => a.takes?.[phase] === b.takes?.[phase])
  );
}
