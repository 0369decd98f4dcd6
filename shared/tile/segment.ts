/**
 * A segment is a range of nodes and the way it is run, with the geometry of its tiles or streams.
 *
 * `planRange` makes segments of a range and a mode. Where the mode can't be kept it takes the nearest one that can,
 * so only `modesOf` says what really runs.
 */

import type { Graph, Node, NodeRange } from '../graph/index.js';
import { elementAt, localityOf } from '../graph/index.js';
import type { LinkOrder } from './link-order.js';
import { orderLinks } from './link-order.js';
import type { Mode, ModeOf } from './mode.js';
import { streamedTilesOf, tilesOf, WHOLE } from './mode.js';
import type { Axis, Space } from './space.js';
import { spaceOf } from './space.js';
import type { StreamLink } from './stream.js';
import { streamRange } from './stream.js';
import { streamRuleOf } from './stream-rule.js';
import type { Grid } from './tile-axis.js';
import { countUnits, tileAxis } from './tile-axis.js';
import type { TileStream } from './tile-stream.js';
import { streamTiles } from './tile-stream.js';

export type Segment = WholeSegment | TiledSegment | StreamedSegment | StreamedTilesSegment;

/** A segment whose maps are computed at once. */
export interface WholeSegment extends NodeRange {
  readonly kind: 'whole';
}

/** A segment that runs tile by tile, each tile from its inputs to its outputs. */
export interface TiledSegment extends NodeRange, Grid {
  readonly kind: 'tiles';
  readonly space: Space;
}

/** A segment of tiles, each streamed from its top to its bottom before the next begins. */
export interface StreamedTilesSegment extends NodeRange, Grid {
  readonly kind: 'streamed-tiles';
  readonly space: Space;
  /** Total strides a step. */
  readonly units: number;
  /** Streams by shape of tile, in the order they run. */
  readonly streams: readonly TileStream[];
}

/** One stream, or several that hand rows to each other without a full map between. */
export interface StreamedSegment extends NodeRange {
  readonly kind: 'stream';
  readonly links: readonly StreamLink[];
  readonly order: LinkOrder;
}

/** A range that runs in a session of its own, and the mode it really runs in. */
export interface RangeMode extends NodeRange {
  readonly mode: Mode;
  /** Whether the range before feeds it row by row. */
  readonly linked: boolean;
}

/** Returns the ranges of a segment that run in sessions of their own, with their modes. */
export function modesOf(segment: Segment): readonly RangeMode[] {
  const { from, to } = segment;
  switch (segment.kind) {
    case 'whole':
      return [{ from, to, mode: WHOLE, linked: false }];
    case 'tiles': {
      const { rowTiles, colTiles } = segment;
      return [{ from, to, mode: tilesOf(rowTiles.length, colTiles.length), linked: false }];
    }
    case 'stream':
      return segment.links.map((link, at) => ({
        from: link.from,
        to: link.to,
        mode: { kind: 'stream', rows: link.units },
        linked: at > 0,
      }));
    case 'streamed-tiles': {
      const grid = { rows: segment.rowTiles.length, cols: segment.colTiles.length };
      return [{ from, to, mode: streamedTilesOf(grid, segment.units), linked: false }];
    }
  }
}

/**
 * Joins neighbouring streams to one segment, in which the first feeds the second.
 *
 * @returns undefined if the second needs a whole map of the first.
 */
export function linkStreams(
  graph: Graph,
  first: StreamedSegment,
  second: StreamedSegment,
): StreamedSegment | undefined {
  const made = new Set(first.links.flatMap(({ stream }) => stream.space.boundary.outputs));
  const flows = second.links.every(({ stream: { space } }) =>
    space.boundary.inputs.every((input) => !made.has(input) || space.scales.has(input)),
  );
  return flows ? streamOf(graph, [...first.links, ...second.links]) : undefined;
}

function streamOf(graph: Graph, links: readonly StreamLink[]): StreamedSegment {
  const { from } = elementAt(links, 0);
  const { to } = elementAt(links, links.length - 1);
  return { kind: 'stream', from, to, links, order: orderLinks(graph, links) };
}

/**
 * Makes segments of a range in a mode. A layer that can't be tiled is cut out and runs whole. A grid finer than
 * the map allows is made coarser. Tiles that can't be streamed run at once.
 */
export function planRange(graph: Graph, range: NodeRange, mode: Mode): readonly Segment[] {
  switch (mode.kind) {
    case 'whole':
      return [wholeOf(range)];
    case 'tiles':
      return splitAtBarriers(graph, range, localityOf).map((part) =>
        part.local ? tileRange(graph, part, mode) : wholeOf(part),
      );
    case 'stream':
      return splitAtBarriers(graph, range, streamRuleOf).map((part) =>
        part.local ? streamPart(graph, part, mode.rows) : wholeOf(part),
      );
    case 'streamed-tiles':
      return splitAtBarriers(graph, range, streamRuleOf).flatMap((part) =>
        part.local
          ? [streamTilesOf(graph, part, mode)]
          : planRange(graph, part, tilesOf(mode.rows, mode.cols)),
      );
  }
}

function streamPart(graph: Graph, range: NodeRange, units: number): Segment {
  const link = streamRange(graph, range, units);
  return link === undefined ? wholeOf(range) : streamOf(graph, [link]);
}

function wholeOf({ from, to }: NodeRange): WholeSegment {
  return { kind: 'whole', from, to };
}

/** Makes streamed tiles. They are plain tiles if some tile is too short for that, and a stream if there is one tile. */
function streamTilesOf(graph: Graph, range: NodeRange, mode: ModeOf<'streamed-tiles'>): Segment {
  const tiled = tileRange(graph, range, mode);
  if (tiled.kind !== 'tiles') return streamPart(graph, range, mode.stepRows);
  const streams = streamTiles(graph, range, { grid: tiled, units: mode.stepRows });
  return streams === undefined ? tiled : { ...tiled, kind: 'streamed-tiles', units: mode.stepRows, streams };
}

function tileRange(
  graph: Graph,
  range: NodeRange,
  mode: { readonly rows: number; readonly cols: number },
): WholeSegment | TiledSegment {
  const result = spaceOf(graph, range);
  if (result.kind === 'barrier') return wholeOf(range);
  const { space } = result;
  const along = (axis: Axis, count: number) => {
    const cut = { graph, space, axis };
    return tileAxis(cut, Math.min(count, countUnits(cut)));
  };
  const rowTiles = along('rows', mode.rows);
  const colTiles = along('cols', mode.cols);
  if (rowTiles.length * colTiles.length === 1) return wholeOf(range);
  return { kind: 'tiles', from: range.from, to: range.to, space, rowTiles, colTiles };
}

/** A range of layers that are all local, or that all hold a barrier. */
type Run = NodeRange & { readonly local: boolean };

/** A function that tells whether a node is a barrier. */
type Rule = (graph: Graph, node: Node) => { readonly kind: string };

/** Splits a range into the longest runs. A layer is never torn, since plans cut between layers. */
function splitAtBarriers(graph: Graph, { from, to }: NodeRange, ruleOf: Rule): readonly Run[] {
  const runs: Run[] = [];
  for (let at = from; at < to; ) {
    const end = endOfLayer(graph, { from: at, to });
    const local = graph.nodes.slice(at, end).every((node) => ruleOf(graph, node).kind !== 'barrier');
    const last = runs.at(-1);
    if (last?.local === local) runs[runs.length - 1] = { ...last, to: end };
    else runs.push({ from: at, to: end, local });
    at = end;
  }
  return runs;
}

function endOfLayer(graph: Graph, { from, to }: NodeRange): number {
  let end = from + 1;
  while (end < to && graph.nodes[end]?.layer === graph.nodes[from]?.layer) end += 1;
  return end;
}
