/**
 * The schedule of a row stream, as `tile/stream.ts` lays it, for all step sizes of a range at once and in arrays: the
 * search asks for thousands of them. Its oracle is `streamBy` (test/search/stream-needs.test.ts).
 *
 * 1. Rows that are there when one total stride of the reference map is done, not bounded by the map: one pass
 *    backwards. Since all moves are multiples of the total stride, more strides shift them all in proportion.
 * 2. The first step is the least multiple of the step at which every operator has a row to give.
 */
import type { AxisRule, Graph } from '../graph/index.js';
import type { Flow } from '../tile/index.js';
import { sizeAlong } from '../tile/index.js';

export class StreamSchedule {
  /** Rows by tensor: new in the first, a middle and the last step; there before the last, and in the end. */
  readonly first: Float64Array;
  readonly middle: Float64Array;
  readonly last: Float64Array;
  readonly before: Float64Array;
  readonly total: Float64Array;
  middleSteps = 0;
  /** Those with space. */
  tensors: readonly number[] = [];
  readonly #graph: Graph;
  /** Rows of each tensor in a total stride, and there when one is done. */
  readonly #stride: Float64Array;
  readonly #atOne: Float64Array;
  /** Fewest total strides of a first step, and those of the map. */
  #leastStrides = 0;
  #strides = 0;

  constructor(graph: Graph) {
    const rows = () => new Float64Array(graph.tensors.length);
    this.#graph = graph;
    [this.first, this.middle, this.last, this.before, this.total] = [rows(), rows(), rows(), rows(), rows()];
    [this.#stride, this.#atOne] = [rows(), rows()];
  }

  /** Takes up a range. */
  begin(flow: Flow): void {
    const { space } = flow;
    const stride = space.totalStride.rows;
    this.tensors = [...space.scales.keys()];
    for (const [tensor, { rows }] of space.scales) {
      this.#stride[tensor] = (stride * rows.numerator) / rows.denominator;
      this.#atOne[tensor] = Number.NEGATIVE_INFINITY;
      this.total[tensor] = 0;
    }
    for (const output of space.boundary.outputs) {
      if (!space.scales.has(output)) continue;
      this.#atOne[output] = this.#stride[output] ?? 0;
      this.total[output] = sizeAlong(this.#graph, output, 'rows');
    }
    this.#goBack(flow);
    this.#strides = sizeAlong(this.#graph, space.reference, 'rows') / stride;
    this.#leastStrides = this.#findLeast();
  }

  /** Lays steps of `units` total strides; false if there is no such stream. */
  lay(units: number): boolean {
    const strides = Math.max(1, Math.ceil(this.#leastStrides / units)) * units;
    if (!(strides < this.#strides)) return false;
    let regular = Number.POSITIVE_INFINITY;
    for (const tensor of this.tensors) {
      const perStride = this.#stride[tensor] ?? 1;
      const first = (this.#atOne[tensor] ?? 0) + (strides - 1) * perStride;
      const steps = Math.floor(((this.total[tensor] ?? 0) - 1 - first) / (units * perStride)) + 1;
      this.first[tensor] = first;
      if (steps < regular) regular = steps;
    }
    if (regular < 1) return false;
    for (const tensor of this.tensors) {
      const moves = units * (this.#stride[tensor] ?? 1);
      const before = (this.first[tensor] ?? 0) + (regular - 1) * moves;
      this.middle[tensor] = moves;
      this.before[tensor] = before;
      this.last[tensor] = (this.total[tensor] ?? 0) - before;
    }
    this.middleSteps = regular - 1;
    return true;
  }

  /** Backwards through the operators, for one total stride and for the whole map. */
  #goBack({ edges }: Flow): void {
    const { total } = this;
    const atOne = this.#atOne;
    for (let at = edges.length - 1; at >= 0; at -= 1) {
      const edge = edges[at];
      if (edge === undefined) continue;
      const { tensor, outputs, rule } = edge;
      const one = raise(atOne, outputs, rule.up);
      atOne[tensor] = Math.max(atOne[tensor] ?? 0, windowEnd(rule, one), nextWindow(rule, one));
      const reach = windowEnd(rule, raise(total, outputs, rule.up));
      const rows = sizeAlong(this.#graph, tensor, 'rows');
      total[tensor] = Math.max(total[tensor] ?? 0, 1, Math.min(rows, reach));
    }
  }

  #findLeast(): number {
    let least = 1;
    for (const tensor of this.tensors) {
      const missing = 1 - (this.#atOne[tensor] ?? 0);
      least = Math.max(least, 1 + Math.ceil(missing / (this.#stride[tensor] ?? 1)));
    }
    return least;
  }
}

/** All outputs of an operator go as far as the furthest. */
function raise(ends: Float64Array, outputs: readonly number[], up: number): number {
  let wanted = Number.NEGATIVE_INFINITY;
  for (const output of outputs) wanted = Math.max(wanted, ends[output] ?? 0);
  const end = Math.ceil(wanted / up) * up;
  for (const output of outputs) ends[output] = end;
  return end;
}

/** First input row behind the window of the output row before `end`. */
export function windowEnd({ up, stride, pad, extent }: AxisRule, end: number): number {
  return Math.floor((end - 1) / up) * stride - pad + extent;
}

/** First input row of the window of the output row at `end`. */
export function nextWindow({ up, stride, pad }: AxisRule, end: number): number {
  return Math.floor(end / up) * stride - pad;
}
