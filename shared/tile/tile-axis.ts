/**
 * Cuts a segment into tiles along one axis. A grid is the product of its row tiles and its column tiles.
 *
 * 1. Lay `count` parts on the reference map in multiples of the total stride; an output of scale s owns the
 *    rows between the boundaries times s, the last part takes the rest.
 * 2. Backwards through the operators: the input rows that the owned output rows need.
 * 3. Align: the tile starts at a multiple of the total stride, and what is left behind its end is a multiple,
 *    too. So the tile is the map with whole strides deleted: every tensor of it is as much shorter as its
 *    scale says, and branches that meet have equal sizes, at odd sizes and in ceil mode as well.
 * 4. Forwards: prove that the owned rows come out exact.
 *
 * Source: MAFAT, section III, and DeepThings, section 4 (fused tile partitioning), which assume odd kernels
 * with symmetric padding and stride 1 in convolutions; none of that is assumed here.
 */

import type { Graph } from '../graph/index.js';
import { tensorAt } from '../graph/index.js';
import type { Interval } from './interval.js';
import { contains, EMPTY, exactRows, hull, intersect, isEmpty, readRows } from './interval.js';
import type { Axis, Scale, Space } from './space.js';
import { sizeAlong } from './space.js';

/** One tile along one axis, in rows of the full maps. */
export interface AxisTile {
  /** What the tile reads of each segment input that has space. */
  readonly reads: ReadonlyMap<number, Interval>;
  /** What the tile computes of each tensor with space, its wrong border rows included. */
  readonly spans: ReadonlyMap<number, Interval>;
  /** What the tile owns of each segment output that has space. */
  readonly owns: ReadonlyMap<number, Interval>;
}

/** A tile is the product of a row tile and a column tile. */
export interface Tile {
  readonly rows: AxisTile;
  readonly cols: AxisTile;
}

export interface Grid {
  readonly rowTiles: readonly AxisTile[];
  readonly colTiles: readonly AxisTile[];
}

export interface AxisCut {
  readonly graph: Graph;
  readonly space: Space;
  readonly axis: Axis;
}

/** Parts the segment can be cut into along an axis: strides of the reference map that own a row of some output. */
export function countUnits({ graph, space, axis }: AxisCut): number {
  const stride = space.totalStride[axis];
  const owning = space.boundary.outputs.map((output) => {
    const scale = space.scales.get(output)?.[axis];
    return scale === undefined ? 0 : Math.ceil(sizeAlong(graph, output, axis) / times(stride, scale));
  });
  const units = Math.floor(sizeAlong(graph, space.reference, axis) / stride);
  return Math.max(1, Math.min(units, ...(owning.length === 0 ? [] : [Math.max(...owning)])));
}

/** @throws {RangeError} if the map has fewer units than `count`. */
export function tileAxis(cut: AxisCut, count: number): readonly AxisTile[] {
  const units = countUnits(cut);
  if (count > units) {
    throw new RangeError(
      `Cannot cut into ${count} ${cut.axis}: the map has ${units} of its total stride ${cut.space.totalStride[cut.axis]}`,
    );
  }
  const stride = cut.space.totalStride[cut.axis];
  const boundaries = Array.from({ length: count + 1 }, (_, at) => Math.round((at * units) / count) * stride);
  return boundaries.slice(1).map((to, at) => {
    const part = { from: boundaries[at] ?? 0, to };
    return tileOwning(cut, ownedRows(cut, { part, isLast: at === count - 1 }));
  });
}

function ownedRows(
  { graph, space, axis }: AxisCut,
  { part, isLast }: { readonly part: Interval; readonly isLast: boolean },
): ReadonlyMap<number, Interval> {
  const owns = new Map<number, Interval>();
  for (const output of space.boundary.outputs) {
    const scale = space.scales.get(output)?.[axis];
    if (scale === undefined) continue;
    const rows = sizeAlong(graph, output, axis);
    const to = isLast ? rows : Math.min(rows, times(part.to, scale));
    owns.set(output, { from: Math.min(rows, times(part.from, scale)), to });
  }
  return owns;
}

function times(rows: number, { numerator, denominator }: Scale): number {
  return (rows * numerator) / denominator;
}

function tileOwning(cut: AxisCut, owns: ReadonlyMap<number, Interval>): AxisTile {
  const { graph, space, axis } = cut;
  const span = runnableSpan(cut, alignedSpan(cut, neededRows(cut, owns)));
  const rows = sizeAlong(graph, space.reference, axis);
  const spans = new Map<number, Interval>();
  for (const [tensor, scales] of space.scales) {
    const size = sizeAlong(graph, tensor, axis);
    spans.set(tensor, {
      from: times(span.from, scales[axis]),
      to: size - times(rows - span.to, scales[axis]),
    });
  }
  const reads = new Map(
    space.boundary.inputs.flatMap((input) => {
      const rowsRead = spans.get(input);
      return rowsRead === undefined ? [] : [[input, rowsRead] as const];
    }),
  );
  const tile = { reads, spans, owns };
  proveExact(cut, tile);
  return tile;
}

/** Backwards: rows of every tensor that the owned rows depend on. */
function neededRows(
  { graph, space, axis }: AxisCut,
  owns: ReadonlyMap<number, Interval>,
): Map<number, Interval> {
  const needed = new Map(owns);
  for (const { outputs, dependences } of [...space.nodes].reverse()) {
    const wanted = outputs.map((index) => needed.get(index) ?? EMPTY).reduce(hull, EMPTY);
    for (const { input, rule } of dependences) {
      const read = readRows(rule[axis], wanted, sizeAlong(graph, input, axis));
      needed.set(input, hull(needed.get(input) ?? EMPTY, read));
    }
  }
  return needed;
}

/** Reference rows that hold what is needed of all segment inputs, aligned at both ends. */
function alignedSpan({ graph, space, axis }: AxisCut, needed: ReadonlyMap<number, Interval>): Interval {
  const stride = space.totalStride[axis];
  const rows = sizeAlong(graph, space.reference, axis);
  let span = EMPTY;
  for (const input of space.boundary.inputs) {
    const scale = space.scales.get(input)?.[axis];
    const read = needed.get(input);
    if (scale === undefined || read === undefined || isEmpty(read)) continue;
    const left = sizeAlong(graph, input, axis) - read.to;
    const inverse = { numerator: scale.denominator, denominator: scale.numerator };
    const from = Math.floor(times(read.from, inverse) / stride) * stride;
    const dropped = Math.floor(times(left, inverse) / stride) * stride;
    span = hull(span, { from, to: rows - dropped });
  }
  return span;
}

/**
 * Widens a tile until it holds a row of every tensor. A tile may own no row of some output; the operators on
 * the way there run all the same, and fail on a map that is smaller than their window.
 */
function runnableSpan({ graph, space, axis }: AxisCut, span: Interval): Interval {
  const stride = space.totalStride[axis];
  const rows = sizeAlong(graph, space.reference, axis);
  const deletable = [...space.scales].map(([tensor, scales]) => {
    const perStride = times(stride, scales[axis]);
    return Math.floor((sizeAlong(graph, tensor, axis) - 1) / perStride) * stride;
  });
  const missing = Math.max(0, rows - (span.to - span.from) - Math.min(...deletable));
  const below = Math.min(missing, rows - span.to);
  return { from: span.from - (missing - below), to: span.to + below };
}

/** Forwards: what is exact in each tensor must hold what the tile owns of the outputs. */
function proveExact({ graph, space, axis }: AxisCut, { reads, spans, owns }: AxisTile): void {
  const exact = new Map(reads);
  for (const { outputs, dependences } of space.nodes) {
    for (const output of outputs) {
      const span = spans.get(output) ?? EMPTY;
      const rows = dependences.map(({ input, rule }) =>
        exactRows(rule[axis], exact.get(input) ?? EMPTY, {
          rowsIn: sizeAlong(graph, input, axis),
          rowsOut: sizeAlong(graph, output, axis),
        }),
      );
      exact.set(output, rows.reduce(intersect, span));
    }
  }
  for (const [output, owned] of owns) {
    const span = spans.get(output) ?? EMPTY;
    if (contains(exact.get(output) ?? EMPTY, owned) && contains(span, owned)) continue;
    const { name } = tensorAt(graph, output);
    throw new Error(
      `Cannot prove ${axis} ${owned.from}-${owned.to} of "${name}" exact: the halo is too small`,
    );
  }
}
