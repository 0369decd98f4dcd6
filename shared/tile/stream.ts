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
 *    An operator that is cropped reads blocks, which overlap, and the rows that a block's borders made wrong are cropped.
 * 4. Go forwards from the rows that are there, and prove that each operator gives exactly the rows it should.
 *
 * Not guaranteed: that a range which could be streamed in some other way gets a stream, or that a stream carries
 * the fewest rows possible.
 * Source: StreamNet (NeurIPS 2023) and Fused-Layer CNN accelerators (Alwani et al., 2016) carry rows so for chains.
 */

import type { Graph, NodeRange } from '../graph/index.js';
import { elementAt, tensorAt } from '../graph/index.js';
import type { Interval } from './interval.js';
import { contains, exactRows } from './interval.js';
import type { Space } from './space.js';
import type { Edge, Flow } from './stream-flow.js';
import { flowOf } from './stream-flow.js';
import { STREAMED_TYPES } from './stream-rule.js';
import {
  blockStart,
  blocksBack,
  mapRows,
  nextWindow,
  rowsAt,
  rowsOfBlock,
  rowsUsed,
  StreamSchedule,
  windowEnd,
} from './stream-schedule.js';

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

/** The rows of an operator's output that are cropped, since the borders of its block made them wrong. */
export interface StreamCrop {
  /** Position of the node in the graph. */
  readonly node: number;
  /** Output of the node. */
  readonly tensor: number;
  /** Rows before those that are new, by phase. */
  readonly from: Readonly<Record<Phase, number>>;
  /** Most rows that the node gives, by phase. */
  readonly made: Readonly<Record<Phase, number>>;
}

/** The schedule of one streamed range. */
export interface Stream {
  readonly space: Space;
  /** Rows of each tensor that are new in a step. */
  readonly rows: Readonly<Record<Phase, RowsOf>>;
  readonly middleSteps: number;
  /** Operands that aren't just the new rows. */
  readonly operands: readonly StreamOperand[];
  /** Outputs that aren't just the new rows. */
  readonly crops: readonly StreamCrop[];
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

/** Lays the stream of a range. @returns undefined if the range can't be streamed so. */
export function streamRange(graph: Graph, range: NodeRange, units: number): StreamLink | undefined {
  const flow = flowOf(graph, range);
  return flow === undefined ? undefined : streamBy(flow, units);
}

/**
 * Lays the stream that moves `units` total strides a step, which is `units` rows of an output of that stride.
 *
 * @returns undefined if the first step would be the whole map, or if rows of another type than those of `STREAMED_TYPES` would be kept.
 * @throws {Error} if the schedule can't be proved.
 */
export function streamBy(flow: Flow, units: number): StreamLink | undefined {
  const { graph, range, space, edges } = flow;
  const schedule = new StreamSchedule(graph);
  schedule.begin(flow);
  if (!schedule.lay(units)) return undefined;
  for (const edge of edges) {
    if (edge.how.kind === 'cropped') proveBlocks(flow, { edge, schedule });
    else prove(flow, { edge, schedule });
  }
  const operands = edges.map((edge) => operandOf(edge, schedule)).filter(isChanged);
  if (operands.some(({ tensor }) => !STREAMED_TYPES.has(tensorAt(graph, tensor).dtype))) return undefined;
  const rows = mapPhases(
    (phase) => new Map(schedule.tensors.map((tensor) => [tensor, rowsAt(schedule[phase], tensor)])),
  );
  const crops = edges.flatMap((edge) => cropOf(graph, edge, schedule) ?? []);
  return { ...range, units, stream: { space, rows, middleSteps: schedule.middleSteps, operands, crops } };
}

/** Finds the parts of an operator's input in each phase. */
export function operandOf(edge: Edge, schedule: StreamSchedule): StreamOperand {
  const { node, input, tensor, rule, how } = edge;
  const { first, middle, last, total } = schedule;
  const made = elementAt(edge.outputs, 0);
  if (how.kind === 'cropped') {
    const kept = rowsAt(first, tensor) - blockStart(rule, rowsAt(first, made));
    return { node, input, tensor, top: 0, kept, bottom: 0, fill: 0, takes: undefined };
  }
  const { fill, exact } = how;
  const kept = rowsAt(first, tensor) - nextWindow(rule, rowsAt(first, made));
  const bottom = Math.max(0, windowEnd(rule, rowsAt(total, made)) - rowsAt(total, tensor));
  const takes = {
    first: rowsUsed(rule, rowsAt(first, made)),
    middle: rowsUsed(rule, rowsAt(middle, made)),
    last: rowsUsed(rule, rowsAt(last, made)),
  };
  const allowed = exact ? 1 : rule.stride;
  const isAll =
    rule.pad + rowsAt(first, tensor) - takes.first < allowed &&
    kept + rowsAt(middle, tensor) - takes.middle < allowed &&
    kept + rowsAt(last, tensor) + bottom - takes.last < allowed;
  return { node, input, tensor, top: rule.pad, kept, bottom, fill, takes: isAll ? undefined : takes };
}

/** Finds the rows to crop of an operator's output. @returns undefined if all rows that it gives are new. */
export function cropOf(graph: Graph, edge: Edge, schedule: StreamSchedule): StreamCrop | undefined {
  if (edge.how.kind !== 'cropped') return undefined;
  const { node, tensor, rule } = edge;
  const output = elementAt(edge.outputs, 0);
  const { kept } = operandOf(edge, schedule);
  const map = mapRows(graph, tensor, output);
  const made = mapPhases((phase) => {
    const block = (phase === 'first' ? 0 : kept) + rowsAt(schedule[phase], tensor);
    return rowsOfBlock(rule, block, map);
  });
  const back = rule.up * blocksBack(rule);
  if (back === 0 && PHASES.every((phase) => made[phase] === rowsAt(schedule[phase], output)))
    return undefined;
  return { node, tensor: output, from: { first: 0, middle: back, last: back }, made };
}

/** Proves that an operator has the rows that it uses in each phase, and that it goes on where it has stopped. */
function prove({ graph }: Flow, { edge, schedule }: ScheduledEdge): void {
  const { tensor, rule } = edge;
  const made = elementAt(edge.outputs, 0);
  const { kept, bottom } = operandOf(edge, schedule);
  const before = (index: number) => rowsAt(schedule.total, index) - rowsAt(schedule.last, index);
  const there = {
    first: rule.pad + rowsAt(schedule.first, tensor),
    middle: kept + rowsAt(schedule.middle, tensor),
    last: kept + rowsAt(schedule.last, tensor) + bottom,
  };
  const used = mapPhases((phase) => rowsUsed(rule, rowsAt(schedule[phase], made)));
  const carriesOn = before(tensor) - kept === nextWindow(rule, before(made));
  const enough = PHASES.every((phase) => used[phase] >= rule.extent && there[phase] >= used[phase]);
  if (carriesOn && enough && kept >= 0) return;
  const { name } = tensorAt(graph, tensor);
  throw new Error(`Cannot prove the stream over "${name}": ${JSON.stringify({ there, used, kept })}`);
}

/**
 * Proves that the new rows of an operator are exact in each kind of block, by the arithmetic of tiles, that it gives
 * them, and that they stand where they are cropped. Middle blocks are alike, so the first and the last of them count.
 */
function proveBlocks({ graph }: Flow, { edge, schedule }: ScheduledEdge): void {
  const { tensor, rule } = edge;
  const output = elementAt(edge.outputs, 0);
  const map = mapRows(graph, tensor, output);
  const { kept } = operandOf(edge, schedule);
  const { first, middle, last, total, middleSteps } = schedule;
  const newRows = (of: number, phase: Phase, step: number): Interval => {
    if (phase === 'first') return { from: 0, to: rowsAt(first, of) };
    if (phase === 'last') return { from: rowsAt(total, of) - rowsAt(last, of), to: rowsAt(total, of) };
    const from = rowsAt(first, of) + step * rowsAt(middle, of);
    return { from, to: from + rowsAt(middle, of) };
  };
  for (const phase of PHASES) {
    for (const step of phase === 'middle' ? [0, middleSteps - 1] : [0]) {
      if (phase === 'middle' && middleSteps === 0) continue;
      const read = newRows(tensor, phase, step);
      const block = { from: phase === 'first' ? 0 : read.from - kept, to: read.to };
      const wanted = newRows(output, phase, step);
      const start = (block.from / rule.stride) * rule.up;
      const back = phase === 'first' ? 0 : rule.up * blocksBack(rule);
      const strides = Math.ceil((map.rowsIn - (block.to - block.from)) / rule.stride);
      const isGiven = wanted.to <= start + map.rowsOut - strides * rule.up;
      const isInPlace = block.from >= 0 && Number.isInteger(start) && wanted.from === start + back;
      if (isGiven && isInPlace && contains(exactRows(rule, block, map), wanted)) continue;
      const { name } = tensorAt(graph, tensor);
      throw new Error(`Cannot prove the stream over "${name}": ${JSON.stringify({ phase, block, wanted })}`);
    }
  }
}

interface ScheduledEdge {
  readonly edge: Edge;
  readonly schedule: StreamSchedule;
}

/** Makes one value for each phase. */
export function mapPhases<T>(of: (phase: Phase) => T): Readonly<Record<Phase, T>> {
  return { first: of('first'), middle: of('middle'), last: of('last') };
}

/** Whether an operand isn't just the new rows. */
export function isChanged({ top, kept, bottom, takes }: StreamOperand): boolean {
  return top > 0 || kept > 0 || bottom > 0 || takes !== undefined;
}
