/**
 * Tiles that are streamed, each alone.
 *
 * A tile is the map with whole strides deleted (tile-axis.ts), so its stream is that of a smaller map with the
 * same operators: what its artificial borders make wrong is outside of what the tile owns, whether it is
 * computed at once or row by row. So both proofs hold as they are: that of the halo for each axis, and that of
 * the schedule for each shape of tile.
 */
import type { Graph } from '../graph/graph.js';
import type { NodeRange } from '../graph/segment-graph.js';
import type { Flow, StreamLink } from './stream.js';
import { flowOf, streamBy } from './stream.js';
import { layoutKey, layoutLink } from './stream-layout.js';
import type { Grid, Tile } from './tile-axis.js';
import { shapeKey, tileGraph, tilesOfGrid } from './tile-shape.js';

/** Tiles of one shape, and the schedule that they share. */
export interface TileStream {
  readonly tiles: readonly Tile[];
  /** The graph with its maps as small as in the tiles. */
  readonly graph: Graph;
  readonly link: StreamLink;
  /** Streams of one session: their operands are made in the same way, so their models are equal. */
  readonly session: number;
}

/** @returns undefined if a tile can't be streamed, `units` total strides a step. */
export function streamTiles(
  graph: Graph,
  range: NodeRange,
  { grid, units }: { readonly grid: Grid; readonly units: number },
): readonly TileStream[] | undefined {
  const flow = flowOf(graph, range);
  if (flow === undefined) return undefined;
  const sessions: string[] = [];
  const streams: TileStream[] = [];
  for (const tiles of tilesByShape(flow, grid)) {
    const [tile] = tiles;
    const view = tile === undefined ? graph : tileGraph(graph, tile);
    const link = streamBy({ ...flow, graph: view }, units);
    if (link === undefined) return undefined;
    const key = layoutKey(layoutLink(graph, link));
    if (!sessions.includes(key)) sessions.push(key);
    streams.push({ tiles, graph: view, link, session: sessions.indexOf(key) });
  }
  return streams;
}

/** Sessions that streams of tiles run in. */
export function countSessions(streams: readonly TileStream[]): number {
  return new Set(streams.map(({ session }) => session)).size;
}

function tilesByShape({ space }: Flow, grid: Grid): readonly (readonly Tile[])[] {
  const shapes = new Map<string, Tile[]>();
  for (const tile of tilesOfGrid(grid)) {
    const key = shapeKey(tile, space.reference);
    const known = shapes.get(key);
    if (known === undefined) shapes.set(key, [tile]);
    else known.push(tile);
  }
  return [...shapes.values()];
}
