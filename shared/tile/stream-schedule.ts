/**
 * This file lays the schedule of a row stream, in arrays and for all step sizes of a range, since the search asks for
 * thousands of schedules. Steps are laid on the reference map in multiples of the total stride.
 *
 * An operator that is cropped (stream-rule.ts) reads blocks that begin and end in multiples of its stride, so that each
 * block gives as many rows more than another as it is longer.
 *
 * 1. One pass backwards finds the rows that are there when one total stride of the reference map is done. The map
 *    doesn't bound them. Further strides shift them in proportion, since all moves are multiples of the total stride.
 * 2. The first step is the least multiple of the step at which every operator has a row to give.
 * 3. Middle steps follow until a tensor would leave no row to the last step.
 *
 * Not guaranteed: that the schedule is proved. `streamBy` (stream.ts) proves the one of a plan that was chosen.
 */
import type { AxisRule, Graph } from '../graph/index.js';
import { elementAt } from '../graph/index.js';
import type { MapRows } from './interval.js';
import { sizeAlong } from './space.js';
import type { Edge, Flow } from './stream-flow.js';

/** The schedule that was laid last, of the range that was taken up last. Its arrays are by tensor. */
export class StreamSchedule {
  /** Rows that are new in the first step. */
  readonly first: Float64Array;
  /** Rows that are new in a middle step. */
  readonly middle: Float64Array;
  /** Rows that are new in the last step. */
  readonly last: Float64Array;
  /** Rows that are there at the end. */
  readonly total: Float64Array;
  middleSteps = 0;
  /** Tensors with space. */
  tensors: readonly number[] = [];
  /** Rows of each tensor in a total stride. */
  readonly #stride: Float64Array;
  /** Rows of each tensor that are there when one total stride is done. */
  readonly #atOne: Float64Array;
  /** Fewest total strides of a first step. */
  #leastStrides = 0;
  /** Total strides of the reference map. */
  #strides = 0;

  constructor(graph: Graph) {
    const rows = () => new Float64Array(graph.tensors.length);
    [this.first, this.middle, this.last, this.total] = [rows(), rows(), rows(), rows()];
    [this.#stride, this.#atOne] = [rows(), rows()];
  }

  /** Takes up a range. */
  begin(flow: Flow): void {
    const { graph, space } = flow;
    const stride = space.totalStride.rows;
    this.tensors = [...space.scales.keys()];
    for (const [tensor, { rows }] of space.scales) {
      this.#stride[tensor] = (stride * rows.numerator) / rows.denominator;
      this.#atOne[tensor] = Number.NEGATIVE_INFINITY;
      this.total[tensor] = 0;
    }
    for (const output of space.boundary.outputs) {
      if (!space.scales.has(output)) continue;
      this.#atOne[output] = rowsAt(this.#stride, output);
      this.total[output] = sizeAlong(graph, output, 'rows');
    }
    this.#goBack(flow);
    this.#strides = sizeAlong(graph, space.reference, 'rows') / stride;
    this.#leastStrides = this.#findLeast(flow);
  }

  /** Lays steps of `units` total strides. @returns false if there is no such stream. */
  lay(units: number): boolean {
    const strides = Math.max(1, Math.ceil(this.#leastStrides / units)) * units;
    if (!(strides < this.#strides)) return false;
    let regular = Number.POSITIVE_INFINITY;
    for (const tensor of this.tensors) {
      const perStride = rowsAt(this.#stride, tensor);
      const first = rowsAt(this.#atOne, tensor) + (strides - 1) * perStride;
      const steps = Math.floor((rowsAt(this.total, tensor) - 1 - first) / (units * perStride)) + 1;
      this.first[tensor] = first;
      if (steps < regular) regular = steps;
    }
    if (regular < 1) return false;
    for (const tensor of this.tensors) {
      const moves = units * rowsAt(this.#stride, tensor);
      const before = rowsAt(this.first, tensor) + (regular - 1) * moves;
      this.middle[tensor] = moves;
      this.last[tensor] = rowsAt(this.total, tensor) - before;
    }
    this.middleSteps = regular - 1;
    return true;
  }

  /** Goes backwards through the operators, for one total stride and for the whole map. */
  #goBack({ graph, edges }: Flow): void {
    for (let at = edges.length - 1; at >= 0; at -= 1) {
      const edge = elementAt(edges, at);
      if (edge.how.kind === 'cropped') this.#passBlockBack(graph, edge);
      else this.#passBack(graph, edge);
    }
  }

  #passBack(graph: Graph, { tensor, outputs, rule }: Edge): void {
    const { total } = this;
    const atOne = this.#atOne;
    const one = raise(atOne, outputs, rule.up);
    atOne[tensor] = Math.max(rowsAt(atOne, tensor), windowEnd(rule, one), nextWindow(rule, one));
    const reach = windowEnd(rule, raise(total, outputs, rule.up));
    const rows = sizeAlong(graph, tensor, 'rows');
    total[tensor] = Math.max(rowsAt(total, tensor), 1, Math.min(rows, reach));
  }

  /** Goes backwards through an operator that is cropped. It has one output. */
  #passBlockBack(graph: Graph, { tensor, outputs, rule }: Edge): void {
    const { total } = this;
    const atOne = this.#atOne;
    const made = elementAt(outputs, 0);
    const map = mapRows(graph, tensor, made);
    const one = raise(atOne, outputs, rule.up);
    const wanted = Math.min(map.rowsOut, raise(total, outputs, rule.up));
    total[made] = wanted;
    atOne[tensor] = Math.max(rowsAt(atOne, tensor), blockEnd(rule, one, map), blockStart(rule, one));
    total[tensor] = Math.max(rowsAt(total, tensor), 1, Math.min(map.rowsIn, blockEnd(rule, wanted, map)));
  }

  /**
   * Counts the total strides of the shortest first step at which every tensor has a row, and at which every block after
   * it begins within the map.
   */
  #findLeast({ edges }: Flow): number {
    let least = 1;
    for (const tensor of this.tensors) least = Math.max(least, this.#stridesTo(1, tensor));
    for (const { how, rule, outputs } of edges) {
      if (how.kind !== 'cropped') continue;
      least = Math.max(least, this.#stridesTo(rule.up * blocksBack(rule), elementAt(outputs, 0)));
    }
    return least;
  }

  /** Counts the total strides at which a tensor has so many rows. */
  #stridesTo(rows: number, tensor: number): number {
    return 1 + Math.ceil((rows - rowsAt(this.#atOne, tensor)) / rowsAt(this.#stride, tensor));
  }
}

/** Reads the rows of a tensor. The cast is safe, since the arrays have a place for each, and a check would be felt. */
export function rowsAt(rows: Float64Array, tensor: number): number {
  return rows[tensor] as number;
}

/** Lets all outputs of an operator go as far as the furthest. @returns their common end. */
function raise(ends: Float64Array, outputs: readonly number[], up: number): number {
  let wanted = Number.NEGATIVE_INFINITY;
  for (const output of outputs) wanted = Math.max(wanted, rowsAt(ends, output));
  const end = Math.ceil(wanted / up) * up;
  for (const output of outputs) ends[output] = end;
  return end;
}

/** Returns the first input row after the window of the output row before `end`. */
export function windowEnd({ up, stride, pad, extent }: AxisRule, end: number): number {
  return Math.floor((end - 1) / up) * stride - pad + extent;
}

/** Returns the first input row of the window of the output row at `end`. */
export function nextWindow({ up, stride, pad }: AxisRule, end: number): number {
  return Math.floor(end / up) * stride - pad;
}

/** Returns the sizes of the maps before and after an operator. */
export function mapRows(graph: Graph, tensor: number, made: number): MapRows {
  return { rowsIn: sizeAlong(graph, tensor, 'rows'), rowsOut: sizeAlong(graph, made, 'rows') };
}

/** Returns the strides that a block begins before its first new row, so that all rows which it depends on are there. */
export function blocksBack({ stride, pad, mirror }: AxisRule): number {
  return Math.ceil(Math.max(0, pad) / stride) + Math.ceil(mirror / stride);
}

/** Returns the input row at which the block begins that gives the output row at `end`. */
export function blockStart(rule: AxisRule, end: number): number {
  return (end / rule.up - blocksBack(rule)) * rule.stride;
}

/**
 * Returns the first input row after the block that gives the output row before `end`. An operator that crops the map
 * at its end crops each block so.
 */
export function blockEnd(rule: AxisRule, end: number, { rowsIn, rowsOut }: MapRows): number {
  return Math.max(windowEnd(rule, end), rowsIn - Math.floor((rowsOut - end) / rule.up) * rule.stride);
}

/** Returns the most rows that an operator gives of a block. They are as many for each block that is whole strides less than the map. */
export function rowsOfBlock({ up, stride }: AxisRule, block: number, { rowsIn, rowsOut }: MapRows): number {
  return rowsOut - Math.floor((rowsIn - block) / stride) * up;
}

/** Returns the input rows that a number of output rows use. */
export function rowsUsed({ up, stride, extent }: AxisRule, rowsOut: number): number {
  return (Math.ceil(rowsOut / up) - 1) * stride + extent;
}
