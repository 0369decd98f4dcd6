/**
 * The schedule of a row stream: a segment run from top to bottom, a few rows a step, nothing computed twice.
 *
 * 1. Lay steps on the reference map in multiples of the total stride. Backwards through the operators: up to
 *    which row each tensor must be there at a step's end; an operator that strides over rows takes them along.
 * 2. Away from the borders these ends move by the same number of rows in each step. So there are three kinds
 *    of steps: the first, as long as the windows ask; middle ones, all alike; the last, which takes what is
 *    left once padding at the bottom is in reach.
 * 3. An operator's input in a step is: rows carried from the step before (in the first: padding), new rows,
 *    and in the last step padding. Where branches differ in delay, the faster one keeps its surplus as carry.
 * 4. Forwards, from the rows that are there: prove that each operator gives exactly the rows it should.
 *
 * Source: DESIGN.md, "How a streamed segment runs"; StreamNet (NeurIPS 2023) and Fused-Layer CNN accelerators
 * (Alwani et al., 2016) carry rows so for chains.
 */

import type { AxisRule, Graph, NodeRange } from '../graph/index.js';
import { localityOf, tensorAt } from '../graph/index.js';
import type { Space } from './space.js';
import { sizeAlong, spaceOf } from './space.js';
import { streamRuleOf } from './stream-rule.js';

export const PHASES = ['first', 'middle', 'last'] as const;
export type Phase = (typeof PHASES)[number];

/** Rows by tensor index, of tensors with space. */
export type RowsOf = ReadonlyMap<number, number>;

/** An operator's input that isn't just the new rows. */
export interface StreamOperand {
  /** Position of the node in the graph, and which of its inputs. */
  readonly node: number;
  readonly input: number;
  readonly tensor: number;
  /** Padding rows before the first row of the map. */
  readonly top: number;
  /** Rows kept from each step for the next. */
  readonly kept: number;
  /** Padding rows behind the last. */
  readonly bottom: number;
  readonly fill: number;
  /** Rows used by phase, where these aren't all there are. */
  readonly takes: Readonly<Record<Phase, number>> | undefined;
}

export interface Stream {
  readonly space: Space;
  /** Rows of each tensor that are new in a step. */
  readonly rows: Readonly<Record<Phase, RowsOf>>;
  readonly middleSteps: number;
  readonly operands: readonly StreamOperand[];
}

/** A range of nodes that is streamed in a session of its own. */
export interface StreamLink extends NodeRange {
  /** Total strides a step. */
  readonly units: number;
  readonly stream: Stream;
}

/** Phases of all steps, in order. */
export function phasesOf({ middleSteps }: Stream): readonly Phase[] {
  return ['first', ...Array.from({ length: middleSteps }, () => 'middle' as const), 'last'];
}

/** One dependence of a node on a map: the law of its rows. */
export interface Edge {
  readonly node: number;
  readonly input: number;
  readonly tensor: number;
  readonly outputs: readonly number[];
  readonly rule: AxisRule;
  readonly fill: number;
  readonly exact: boolean;
}

/** What the streams of a range have in common, whatever their step. */
export interface Flow {
  readonly graph: Graph;
  readonly range: NodeRange;
  readonly space: Space;
  readonly edges: readonly Edge[];
}

/** @returns undefined if an operator of nodes [from, to) can't be streamed. */
export function flowOf(graph: Graph, range: NodeRange): Flow | undefined {
  const edges = edgesOf(graph, range);
  const result = edges === undefined ? undefined : spaceOf(graph, range);
  if (edges === undefined || result?.kind !== 'space') return undefined;
  const { space } = result;
  if (hasMapOffFrame(graph, range, space)) return undefined;
  return { graph, range, space, edges: edges.filter(({ tensor }) => space.scales.has(tensor)) };
}

/** A branch that meets the others outside of the range only has no rows in step with theirs. */
function hasMapOffFrame(graph: Graph, { from, to }: NodeRange, { scales }: Space): boolean {
  return graph.nodes.slice(from, to).some(({ outputs: [output = -1] }) => {
    if (output < 0 || scales.has(output)) return false;
    const [, , rows = 1, cols = 1] = tensorAt(graph, output).shape ?? [];
    return rows * cols > 1;
  });
}

/** The stream of a range; undefined if it can't be streamed so. */
export function streamRange(graph: Graph, range: NodeRange, units: number): StreamLink | undefined {
  const flow = flowOf(graph, range);
  return flow === undefined ? undefined : streamBy(flow, units);
}

/**
 * The stream that moves `units` total strides a step: `units` rows of an output of that stride. Undefined if the
 * first step would be the whole map.
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
    [...first].map(([tensor, end]) => [tensor, end + (regular - 1) * (moves.get(tensor) ?? 0)]),
  );
  const last = new Map([...total].map(([tensor, end]) => [tensor, end - (before.get(tensor) ?? 0)]));
  const schedule: Schedule = { first, before, total, rows: { first, middle: moves, last } };
  const operands = flow.edges.map((edge) => operandOf(edge, { flow, schedule })).filter(isChanged);
  // Rows are kept as float32.
  if (operands.some(({ tensor }) => tensorAt(flow.graph, tensor).dtype !== 'float32')) return undefined;
  return { ...range, units, stream: { space, rows: schedule.rows, middleSteps: regular - 1, operands } };
}

interface Schedule {
  /** Rows that are there at the end of the first step, before the last, and at its end. */
  readonly first: RowsOf;
  readonly before: RowsOf;
  readonly total: RowsOf;
  readonly rows: Stream['rows'];
}

function edgesOf(graph: Graph, { from, to }: NodeRange): readonly Edge[] | undefined {
  const edges: Edge[] = [];
  for (let at = from; at < to; at += 1) {
    const node = graph.nodes[at];
    if (node === undefined) return undefined;
    const how = streamRuleOf(graph, node);
    const locality = localityOf(graph, node);
    if (how.kind === 'barrier' || locality.kind === 'barrier') return undefined;
    for (const [input, rule] of locality.inputs.entries()) {
      const tensor = node.inputs[input] ?? -1;
      if (rule === null || tensor < 0) continue;
      const outputs = node.outputs.filter((index) => index >= 0);
      edges.push({ node: at, input, tensor, outputs, rule: rule.rows, fill: how.fill, exact: how.exact });
    }
  }
  return edges;
}

/** Backwards: rows of each tensor that are there when those of the outputs are; not bounded by the map. */
function endsFor({ edges }: Flow, ends: Map<number, number>): Map<number, number> {
  for (const { tensor, outputs, rule } of [...edges].reverse()) {
    const wanted = Math.max(...outputs.map((index) => ends.get(index) ?? 0));
    const end = Math.ceil(wanted / rule.up) * rule.up;
    for (const output of outputs) ends.set(output, end);
    ends.set(tensor, Math.max(ends.get(tensor) ?? 0, windowEnd(rule, end), nextWindow(rule, end)));
  }
  return ends;
}

/** First input row behind the window of the output row before `end`. */
function windowEnd({ up, stride, pad, extent }: AxisRule, end: number): number {
  return Math.floor((end - 1) / up) * stride - pad + extent;
}

/** First input row of the window of the output row at `end`. */
function nextWindow({ up, stride, pad }: AxisRule, end: number): number {
  return Math.floor(end / up) * stride - pad;
}

function times(rows: number, tensor: number, { space }: Flow): number {
  const scale = space.scales.get(tensor)?.rows;
  return scale === undefined ? 0 : (rows * scale.numerator) / scale.denominator;
}

function outputsAt(flow: Flow, referenceRows: number): Map<number, number> {
  const outputs = flow.space.boundary.outputs.filter((index) => flow.space.scales.has(index));
  return new Map(outputs.map((index) => [index, times(referenceRows, index, flow)]));
}

/** The first step goes on until every operator has a row to give; undefined if that is the whole map. */
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

/** Steps before one would reach the bottom padding, or leave nothing of a tensor to the last step. */
function countRegular({
  first,
  moves,
  total,
}: Pick<Schedule, 'first' | 'total'> & { readonly moves: RowsOf }): number {
  const steps = [...first].map(([tensor, end]) => {
    const room = (total.get(tensor) ?? 0) - 1 - end;
    return Math.floor(room / (moves.get(tensor) ?? 1)) + 1;
  });
  return Math.min(...steps);
}

/** Rows of each tensor that the outputs need in the end: all but what no window reaches. */
function lastEnds(flow: Flow): RowsOf {
  const { graph, edges, space } = flow;
  const outputs = space.boundary.outputs.filter((index) => space.scales.has(index));
  const ends = new Map(outputs.map((index) => [index, sizeAlong(graph, index, 'rows')]));
  for (const { tensor, outputs: made, rule } of [...edges].reverse()) {
    const wanted = Math.max(...made.map((index) => ends.get(index) ?? 0));
    const end = Math.ceil(wanted / rule.up) * rule.up;
    for (const output of made) ends.set(output, end);
    const reach = Math.min(sizeAlong(graph, tensor, 'rows'), windowEnd(rule, end));
    ends.set(tensor, Math.max(ends.get(tensor) ?? 1, reach));
  }
  return ends;
}

/** What an operator's input is made of in each phase; proves that it gives the rows it should. */
function operandOf(edge: Edge, { flow, schedule }: { flow: Flow; schedule: Schedule }): StreamOperand {
  const { node, input, tensor, rule, fill } = edge;
  const made = edge.outputs[0] ?? -1;
  const { first, before, total, rows } = schedule;
  const endOf = (ends: RowsOf, index: number) => ends.get(index) ?? 0;
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

/** One value a phase. */
export function mapPhases<T>(of: (phase: Phase) => T): Readonly<Record<Phase, T>> {
  return { first: of('first'), middle: of('middle'), last: of('last') };
}

/** Input rows for a number of output rows. */
function rowsUsed({ up, stride, extent }: AxisRule, rowsOut: number): number {
  return (Math.ceil(rowsOut / up) - 1) * stride + extent;
}

function isChanged({ top, kept, bottom, takes }: StreamOperand): boolean {
  return top > 0 || kept > 0 || bottom > 0 || takes !== undefined;
}
