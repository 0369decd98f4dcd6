/**
 * This file streams tiles, each alone.
 *
 * A tile is the map with whole strides deleted (tile-axis.ts), so its stream is that of a smaller map with the same
 * operators. Its artificial borders make rows wrong that the tile doesn't own, whether it is computed at once or row
 * by row. So the proof of the halo holds for each axis, and the proof of the schedule for each shape of tile.
 */
import type { Graph, NodeRange } from '../graph/index.js';
import type { StreamLink } from './stream.js';
import { streamBy } from './stream.js';
import { flowOf } from './stream-flow.js';
import { layoutKey, layoutLink } from './stream-layout.js';
import type { Grid, Tile } from './tile-axis.js';
import { tileGraph, tilesByShape } from './tile-shape.js';

/** Tiles of one shape, and the schedule that they share. */
export interface TileStream {
  readonly tiles: readonly Tile[];
  /** Graph whose maps are as small as in the tiles. */
  readonly graph: Graph;
  readonly link: StreamLink;
}

/**
 * Lays a stream for each shape of tile. One session runs them all, since their operands are made in the same way.
 * Where whole strides are deleted, the rows that a step carries, pads and leaves over stay the same.
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
  for (const { example, tiles } of tilesByShape(grid, flow.space.reference)) {
    const view = tileGraph(graph, example);
    const link = streamBy({ ...flow, graph: view }, units);
    if (link === undefined) return undefined;
    streams.push({ tiles, graph: view, link });
  }
  return needOneSession(graph, streams) ? streams : undefined;
}

/** Checks that one session can run all streams. If it couldn't, these tiles would run at once. */
function needOneSession(graph: Graph, streams: readonly TileStream[]): boolean {
  const keys = streams.map(({ link }) => layoutKey(layoutLink(graph, link)));
  return keys.every((key) => key === keys[0]);
}
