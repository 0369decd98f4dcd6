/**
 * This file lays the schedule of a row stream. A segment runs from top to bottom, a few rows a step, and computes
 * nothing twice.
 *
 * 1. Lay steps on the reference map in multiples of the total stride. Go backwards through the operators to find up
 *    to which row each tensor must be there at a step's end. An operator that strides over rows takes them along.
 * 2. Away from the borders these ends move by the same number of rows in each step. So there are three kinds of
 *    steps. The first is as long as the windows ask, and all middle ones are alike. The last takes what is left once
 *    the padding at the bottom is in reach.
 * 3. An operator's input in a step consists of rows carried from the step before, then new rows. The first step has
 *    padding instead of carried rows, and the last has padding at its end. Where branches differ in delay, the
 *    faster one keeps its surplus as carry.
 * 4. Go forwards from the rows that are there, and prove that each operator gives exactly the rows it should.
 *
 * Not guaranteed: that a range which could be streamed in some other way gets a stream, or that a stream carries
 * the fewest rows possible.
 * Source: StreamNet (NeurIPS 2023) and Fused-Layer CNN accelerators (Alwani et al., 2016) carry rows so for chains.
 */

import type { AxisRule, Graph, NodeRange } from '../graph/index.js';
import { elementAt, knownShape, localityOf, tensorAt, tensorsWritten, valueFor } from '../graph/index.js';
import type { Space } from './space.js';
import { sizeAlong, spaceOf } from './space.js';
import { streamRuleOf } from './stream-rule.js';

/** Kinds of steps, in the order they run. */
export const PHASES = ['first', 'middle', 'last'] as const;
export type Phase = (typeof PHASES)[number];

/** Rows of tensors with space, by tensor index. */
export type RowsOf = ReadonlyMap<number, number>;

/** An operator's input that isn't just the new rows. */
export interface StreamOperand {
  /** Position of the node in the graph. */
  readonly node: number;
  /** Position of the input among the node's inputs. */
  readonly input: number;
  readonly tensor: number;
  /** Padding rows before the first row of the map. */
  readonly top: number;
  /** Rows kept from each step for the next. */
  readonly kept: number;
  /** Padding rows after the last row of the map. */
  readonly bottom: number;
  /** Value of the padding. */
  readonly fill: number;
  /** Rows used by phase. It is undefined where all rows are used. */
  readonly takes: Readonly<Record<Phase, number>> | undefined;
}

/** The schedule of one streamed range. */
export interface Stream {
  readonly space: Space;
  /** Rows of each tensor that are new in a step. */
  readonly rows: Readonly<Record<Phase, RowsOf>>;
  readonly middleSteps: number;
  /** Operands that aren't just the new rows. */
  readonly operands: readonly StreamOperand[];
}

/** A range of nodes that is streamed in a session of its own. */
export interface StreamLink extends NodeRange {
  /** Total strides a step. */
  readonly units: number;
  readonly stream: Stream;
}

/** Returns the phases of all steps, in order. */
export function phasesOf({ middleSteps }: Stream): readonly Phase[] {
  return ['first', ...Array.from({ length: middleSteps }, () => 'middle' as const), 'last'];
}

/** One dependence of a node on a map, with the law of its rows. */
export interface Edge {
  /** Position of the node in the graph. */
  readonly node: number;
  /** Position of the input among the node's inputs. */
  readonly input: number;
  readonly tensor: number;
  readonly outputs: readonly number[];
  readonly rule: AxisRule;
  /** Value of the padding. */
  readonly fill: number;
  /** Whether surplus rows change the result (stream-rule.ts). */
  readonly exact: boolean;
}

/** The part that all streams of a range share, whatever their step. */
export interface Flow {
  readonly graph: Graph;
  readonly range: NodeRange;
  readonly space: Space;
  /** Dependences on maps with space, in the order of the nodes. */
  readonly edges: readonly Edge[];
}

/** Makes the flow of a range. @returns undefined if an operator of nodes [from, to) can't be streamed. */
export function flowOf(graph: Graph, range: NodeRange): Flow | undefined {
  const edges = edgesOf(graph, range);
  const result = edges === undefined ? undefined : spaceOf(graph, range);
  if (edges === undefined || result?.kind !== 'space') return undefined;
  const { space } = result;
  if (hasMapOffFrame(graph, range, space)) return undefined;
  return { graph, range, space, edges: edges.filter(({ tensor }) => space.scales.has(tensor)) };
}

/**
 * Whether some map isn't in the frame. A branch that meets the others only outside of the range has no rows in step with
 * theirs.
 */
function hasMapOffFrame(graph: Graph, { from, to }: NodeRange, { scales }: Space): boolean {
  return graph.nodes.slice(from, to).some(({ outputs: [output = -1] }) => {
    if (output < 0 || scales.has(output)) return false;
    const [, , rows = 1, cols = 1] = knownShape(tensorAt(graph, output));
    return rows * cols > 1;
  });
}

/** Lays the stream of a range. @returns undefined if the range can't be streamed so. */
export function streamRange(graph: Graph, range: NodeRange, units: number): StreamLink | undefined {
  const flow = flowOf(graph, range);
  return flow === undefined ? undefined : streamBy(flow, units);
}

/**
 * Lays the stream that moves `units` total strides a step, which is `units` rows of an output of that stride.
 *
 * @returns undefined if the first step would be the whole map, or if rows would be kept that aren't float32.
 * @throws {Error} if the schedule can't be proved.
 */
export function streamBy(flow: Flow, units: number): StreamLink | undefined {
  const { range, space } = flow;
  const step = units * space.totalStride.rows;
  const first = firstEnds(flow, step);
  if (first === undefined) return undefined;
  const moves = rowsPerStep(flow, step);
  const total = lastEnds(flow);
  const regular = countRegular({ first, moves, total });
  if (regular < 1) return undefined;
  const before = new Map(
    [...first].map(([tensor, end]) => [tensor, end + (regular - 1) * valueFor(moves, tensor)]),
  );
  const last = new Map([...total].map(([tensor, end]) => [tensor, end - valueFor(before, tensor)]));
  const schedule: Schedule = { first, before, total, rows: { first, middle: moves, last } };
  const operands = flow.edges.map((edge) => operandOf(edge, { flow, schedule })).filter(isChanged);
  // Rows are kept as float32.
  if (operands.some(({ tensor }) => tensorAt(flow.graph, tensor).dtype !== 'float32')) return undefined;
  return { ...range, units, stream: { space, rows: schedule.rows, middleSteps: regular - 1, operands } };
}

/** How far each tensor has come at the borders of steps. */
interface Schedule {
  /** Rows that are there at the end of the first step. */
  readonly first: RowsOf;
  /** Rows that are there before the last step. */
  readonly before: RowsOf;
  /** Rows that are there at the end of the last step. */
  readonly total: RowsOf;
  /** Rows that are new in a step of each phase. */
  readonly rows: Stream['rows'];
}

function edgesOf(graph: Graph, { from, to }: NodeRange): readonly Edge[] | undefined {
  const edges: Edge[] = [];
  for (const [offset, node] of graph.nodes.slice(from, to).entries()) {
    const how = streamRuleOf(graph, node);
    const locality = localityOf(graph, node);
    if (how.kind === 'barrier' || locality.kind === 'barrier') return undefined;
    const { fill, exact } = how;
    const outputs = tensorsWritten(node);
    for (const [input, rule] of locality.inputs.entries()) {
      if (rule === null) continue;
      const tensor = elementAt(node.inputs, input);
      if (tensor >= 0) {
        edges.push({ node: from + offset, input, tensor, outputs, rule: rule.rows, fill, exact });
      }
    }
  }
  return edges;
}

/** Goes backwards, and adds the rows of each tensor that are there when the given rows of the outputs are. */
function endsFor({ edges }: Flow, ends: Map<number, number>): Map<number, number> {
  for (const { tensor, outputs, rule } of [...edges].reverse()) {
    const end = alignOutputs(ends, outputs, rule);
    // The map doesn't bound these ends. A tensor that no later node has asked for stands at 0.
    ends.set(tensor, Math.max(ends.get(tensor) ?? 0, windowEnd(rule, end), nextWindow(rule, end)));
  }
  return ends;
}

/** Lets all outputs of an operator end where the furthest does, on a whole step of its upsampling. @returns that end. */
function alignOutputs(ends: Map<number, number>, outputs: readonly number[], { up }: AxisRule): number {
  // An output that nothing reads asks for no rows.
  const wanted = Math.max(...outputs.map((index) => ends.get(index) ?? 0));
  const end = Math.ceil(wanted / up) * up;
  for (const output of outputs) ends.set(output, end);
  return end;
}

/** Returns the first input row after the window of the output row before `end`. */
function windowEnd({ up, stride, pad, extent }: AxisRule, end: number): number {
  return Math.floor((end - 1) / up) * stride - pad + extent;
}

/** Returns the first input row of the window of the output row at `end`. */
function nextWindow({ up, stride, pad }: AxisRule, end: number): number {
  return Math.floor(end / up) * stride - pad;
}

/** Returns the rows of a tensor that stand for `rows` rows of the reference map. */
function times(rows: number, tensor: number, { space }: Flow): number {
  const scale = valueFor(space.scales, tensor).rows;
  return (rows * scale.numerator) / scale.denominator;
}

function outputsAt(flow: Flow, referenceRows: number): Map<number, number> {
  const outputs = flow.space.boundary.outputs.filter((index) => flow.space.scales.has(index));
  return new Map(outputs.map((index) => [index, times(referenceRows, index, flow)]));
}

/** Finds the first step that lets every operator give a row. @returns undefined if that is the whole map. */
function firstEnds(flow: Flow, step: number): RowsOf | undefined {
  const reference = sizeAlong(flow.graph, flow.space.reference, 'rows');
  for (let rows = step; rows < reference; rows += step) {
    const ends = endsFor(flow, outputsAt(flow, rows));
    if ([...ends.values()].every((end) => end >= 1)) return ends;
  }
  return undefined;
}

function rowsPerStep(flow: Flow, step: number): RowsOf {
  return new Map([...flow.space.scales.keys()].map((tensor) => [tensor, times(step, tensor, flow)]));
}

/** Counts the steps before one would reach the bottom padding, or leave no row of a tensor to the last step. */
function countRegular({
  first,
  moves,
  total,
}: Pick<Schedule, 'first' | 'total'> & { readonly moves: RowsOf }): number {
  const steps = [...first].map(([tensor, end]) => {
    const room = valueFor(total, tensor) - 1 - end;
    return Math.floor(room / valueFor(moves, tensor)) + 1;
  });
  return Math.min(...steps);
}

/** Returns the rows of each tensor that the outputs need in the end: all but the rows that no window reaches. */
function lastEnds(flow: Flow): RowsOf {
  const { graph, edges, space } = flow;
  const outputs = space.boundary.outputs.filter((index) => space.scales.has(index));
  const ends = new Map(outputs.map((index) => [index, sizeAlong(graph, index, 'rows')]));
  for (const { tensor, outputs: made, rule } of [...edges].reverse()) {
    const reach = Math.min(sizeAlong(graph, tensor, 'rows'), windowEnd(rule, alignOutputs(ends, made, rule)));
    // A first row is there of every tensor, since a session can't run on an empty map.
    ends.set(tensor, Math.max(ends.get(tensor) ?? 1, reach));
  }
  return ends;
}

/** Finds the parts of an operator's input in each phase, and proves that it gives the rows it should. */
function operandOf(edge: Edge, { flow, schedule }: { flow: Flow; schedule: Schedule }): StreamOperand {
  const { node, input, tensor, rule, fill } = edge;
  const made = elementAt(edge.outputs, 0);
  const { first, before, total, rows } = schedule;
  const endOf = (ends: RowsOf, index: number) => valueFor(ends, index);
  const kept = endOf(first, tensor) - nextWindow(rule, endOf(first, made));
  const bottom = Math.max(0, windowEnd(rule, endOf(total, made)) - endOf(total, tensor));
  const there = {
    first: rule.pad + endOf(rows.first, tensor),
    middle: kept + endOf(rows.middle, tensor),
    last: kept + endOf(rows.last, tensor) + bottom,
  };
  const used = mapPhases((phase) => rowsUsed(rule, endOf(rows[phase], made)));
  const isAll = PHASES.every((phase) => {
    const surplus = there[phase] - used[phase];
    return surplus === 0 || (!edge.exact && surplus < rule.stride);
  });
  const carriesOn = endOf(before, tensor) - kept === nextWindow(rule, endOf(before, made));
  const enough = PHASES.every((phase) => used[phase] >= rule.extent && there[phase] >= used[phase]);
  if (!carriesOn || !enough || kept < 0) {
    const { name } = tensorAt(flow.graph, tensor);
    throw new Error(`Cannot prove the stream over "${name}": ${JSON.stringify({ there, used, kept })}`);
  }
  return { node, input, tensor, top: rule.pad, kept, bottom, fill, takes: isAll ? undefined : used };
}

/** Makes one value for each phase. */
export function mapPhases<T>(of: (phase: Phase) => T): Readonly<Record<Phase, T>> {
  return { first: of('first'), middle: of('middle'), last: of('last') };
}

/** Returns the input rows that a number of output rows use. */
function rowsUsed({ up, stride, extent }: AxisRule, rowsOut: number): number {
  return (Math.ceil(rowsOut / up) - 1) * stride + extent;
}

/** Whether an operand isn't just the new rows. */
function isChanged({ top, kept, bottom, takes }: StreamOperand): boolean {
  return top > 0 || kept > 0 || bottom > 0 || takes !== undefined;
}
