/**
 * Tiles that are streamed, each alone.
 *
 * A tile is the map with whole strides deleted (tile-axis.ts), so its stream is that of a smaller map with the
 * same operators: what its artificial borders make wrong is outside of what the tile owns, whether it is
 * computed at once or row by row. So both proofs hold as they are: that of the halo for each axis, and that of
 * the schedule for each shape of tile.
 */
import type { Graph, NodeRange } from '../graph/index.js';
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
}

/**
 * By shape of tile; one session runs them all, since their operands are made in the same way: where whole strides
 * are deleted, what a step carries, pads and leaves over stays as it was.
 *
 * @returns undefined if a tile can't be streamed, `units` total strides a step.
 */
export function streamTiles(
  graph: Graph,
  range: NodeRange,
  { grid, units }: { readonly grid: Grid; readonly units: number },
): readonly TileStream[] | undefined {
  const flow = flowOf(graph, range);
  if (flow === undefined) return undefined;
  const streams: TileStream[] = [];
  for (const tiles of tilesByShape(flow, grid)) {
    const [tile] = tiles;
    const view = tile === undefined ? graph : tileGraph(graph, tile);
    const link = streamBy({ ...flow, graph: view }, units);
    if (link === undefined) return undefined;
    streams.push({ tiles, graph: view, link });
  }
  return needOneSession(graph, streams) ? streams : undefined;
}

/** A check of what is said above; were it wrong, these tiles would run at once. */
function needOneSession(graph: Graph, streams: readonly TileStream[]): boolean {
  const keys = streams.map(({ link }) => layoutKey(layoutLink(graph, link)));
  return keys.every((key) => key === keys[0]);
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
