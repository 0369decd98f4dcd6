/**
 * This file cuts a segment into tiles along one axis. A grid is the product of its row tiles and its column tiles.
 *
 * 1. Lay `count` parts on the reference map in multiples of the total stride. An output of scale s owns the rows
 *    between the boundaries times s, and the last part takes the rest.
 * 2. Go backwards through the operators to find the input rows that the owned output rows need.
 * 3. Align the tile. It starts at a multiple of the total stride, and a multiple of it is left after its end. So the
 *    tile is the map with whole strides deleted. Every tensor of it is as much shorter as its scale says. Branches
 *    that meet have equal sizes, at odd sizes and in ceil mode as well.
 * 4. Go forwards and prove that the owned rows come out exact.
 *
 * Not guaranteed: that tiles cost the same, or that their halos are the smallest possible, since they are aligned.
 * Source: MAFAT, section III, and DeepThings, section 4 (fused tile partitioning). Both assume odd kernels with
 * symmetric padding and stride 1 in convolutions, which this file doesn't.
 */

import type { Graph } from '../graph/index.js';
import { elementAt, tensorAt, valueFor } from '../graph/index.js';
import type { Interval } from './interval.js';
import { contains, EMPTY, exactRows, hull, intersect, isEmpty, readRows } from './interval.js';
import type { Axis, Scale, Space } from './space.js';
import { sizeAlong } from './space.js';

/** One tile along one axis, in rows of the full maps. */
export interface AxisTile {
  /** Rows that the tile reads of each segment input that has space. */
  readonly reads: ReadonlyMap<number, Interval>;
  /** Rows that the tile computes of each tensor with space, its wrong border rows included. */
  readonly spans: ReadonlyMap<number, Interval>;
  /** Rows that the tile owns of each segment output that has space. */
  readonly owns: ReadonlyMap<number, Interval>;
}

/** A tile is the product of a row tile and a column tile. */
export interface Tile {
  readonly rows: AxisTile;
  readonly cols: AxisTile;
}

/** All tiles of a segment, as the tiles along each axis. */
export interface Grid {
  readonly rowTiles: readonly AxisTile[];
  readonly colTiles: readonly AxisTile[];
}

/** The segment and the axis that it is cut along. */
export interface AxisCut {
  readonly graph: Graph;
  readonly space: Space;
  readonly axis: Axis;
}

/** Counts the parts that a segment can be cut into: strides of the reference map that own a row of some output. */
export function countUnits({ graph, space, axis }: AxisCut): number {
  const stride = space.totalStride[axis];
  const owning = space.boundary.outputs.map((output) => {
    const scale = space.scales.get(output)?.[axis];
    return scale === undefined ? 0 : Math.ceil(sizeAlong(graph, output, axis) / times(stride, scale));
  });
  const units = Math.floor(sizeAlong(graph, space.reference, axis) / stride);
  return Math.max(1, Math.min(units, ...(owning.length === 0 ? [] : [Math.max(...owning)])));
}

/** Cuts a segment into `count` tiles along an axis. @throws {RangeError} if the map has fewer units than `count`. */
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
    const part = { from: elementAt(boundaries, at), to };
    return tileOwning(cut, ownedRows(cut, { part, isLast: at === count - 1 }));
  });
}

/** Returns the rows of each segment output that a part of the reference map owns. */
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

/** Returns the rows of a tensor of some scale that stand for `rows` rows of the reference map. */
function times(rows: number, { numerator, denominator }: Scale): number {
  return (rows * numerator) / denominator;
}

/** Makes the tile that owns these rows of the outputs. */
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

/** Goes backwards and returns the rows of every tensor that the owned rows depend on. */
function neededRows(
  { graph, space, axis }: AxisCut,
  owns: ReadonlyMap<number, Interval>,
): Map<number, Interval> {
  const needed = new Map(owns);
  for (const { outputs, dependences } of [...space.nodes].reverse()) {
    const wanted = outputs.map((index) => needed.get(index) ?? EMPTY).reduce(hull, EMPTY);
    for (const { input, rule } of dependences) {
      const map = {
        rowsIn: sizeAlong(graph, input, axis),
        rowsOut: sizeAlong(graph, elementAt(outputs, 0), axis),
      };
      const read = readRows(rule[axis], wanted, map);
      needed.set(input, hull(needed.get(input) ?? EMPTY, read));
    }
  }
  return needed;
}

/** Returns the reference rows that hold all rows needed of the segment inputs, aligned at both ends. */
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
 * Widens a tile until it holds a row of every tensor, and as many as a mirroring Pad folds back. A tile may own no row of
 * some output. The operators on the way there run all the same, and fail on a map that is smaller than their window.
 */
function runnableSpan({ graph, space, axis }: AxisCut, span: Interval): Interval {
  const stride = space.totalStride[axis];
  const rows = sizeAlong(graph, space.reference, axis);
  const mirrors = new Map<number, number>();
  for (const { input, rule } of space.nodes.flatMap(({ dependences }) => dependences))
    mirrors.set(input, Math.max(mirrors.get(input) ?? 1, rule[axis].mirror));
  const deletable = [...space.scales].map(([tensor, scales]) => {
    const perStride = times(stride, scales[axis]);
    const spare = sizeAlong(graph, tensor, axis) - (mirrors.get(tensor) ?? 1);
    return Math.max(0, Math.floor(spare / perStride)) * stride;
  });
  const missing = Math.max(0, rows - (span.to - span.from) - Math.min(...deletable));
  const below = Math.min(missing, rows - span.to);
  return { from: span.from - (missing - below), to: span.to + below };
}

/** Goes forwards and proves that the exact rows of each output hold the rows that the tile owns. */
function proveExact({ graph, space, axis }: AxisCut, { reads, spans, owns }: AxisTile): void {
  const exact = new Map(reads);
  for (const { outputs, dependences } of space.nodes) {
    for (const output of outputs) {
      const span = valueFor(spans, output);
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
    const span = valueFor(spans, output);
    if (contains(exact.get(output) ?? EMPTY, owned) && contains(span, owned)) continue;
    const { name } = tensorAt(graph, output);
    throw new Error(
      `Cannot prove ${axis} ${owned.from}-${owned.to} of "${name}" exact: the halo is too small`,
    );
  }
}
