/** This file gives the tensor shapes of tiles, and groups tiles by them. */

import type { Graph } from '../graph/index.js';
import { elementAt, knownShape, tensorAt, valueFor } from '../graph/index.js';
import type { ShapeOf } from './shape-of.js';
import type { AxisTile, Grid, Tile } from './tile-axis.js';

/** Tiles in which every tensor has the same shape. */
export interface TileKind {
  /** First of the tiles, as an example of their shapes. */
  readonly example: Tile;
  /** All tiles of the kind, row by row. */
  readonly tiles: readonly Tile[];
}

/** Lists all tiles of a grid, row by row. */
function tilesOfGrid({ rowTiles, colTiles }: Grid): readonly Tile[] {
  return rowTiles.flatMap((rows) => colTiles.map((cols) => ({ rows, cols })));
}

/**
 * Groups the tiles of a grid by shape, in the order in which the shapes first occur. Tiles whose spans of the
 * reference map are of one length are of one shape throughout, since they are the map with whole strides deleted.
 */
export function tilesByShape({ rowTiles, colTiles }: Grid, reference: number): readonly TileKind[] {
  const colGroups = byLength(colTiles, reference);
  return byLength(rowTiles, reference).flatMap((rowGroup) =>
    colGroups.map((colGroup) => {
      const tiles = tilesOfGrid({ rowTiles: rowGroup, colTiles: colGroup });
      return { example: elementAt(tiles, 0), tiles };
    }),
  );
}

/** Groups the tiles of one axis by the length of their spans of the reference map. */
function byLength(tiles: readonly AxisTile[], reference: number): readonly (readonly AxisTile[])[] {
  const groups = new Map<number, AxisTile[]>();
  for (const tile of tiles) {
    const { from, to } = valueFor(tile.spans, reference);
    const known = groups.get(to - from);
    if (known === undefined) groups.set(to - from, [tile]);
    else known.push(tile);
  }
  return [...groups.values()];
}

/** Gives the shapes of the full maps. */
export function wholeShapes(graph: Graph): ShapeOf {
  return (tensor) => knownShape(tensorAt(graph, tensor));
}

/** Gives the shapes in a tile. Tensors without space keep their whole shape in every tile. */
export function tileShapes(graph: Graph, { rows, cols }: Tile): ShapeOf {
  const whole = wholeShapes(graph);
  return (tensor) => {
    const shape = whole(tensor);
    const rowSpan = rows.spans.get(tensor);
    const colSpan = cols.spans.get(tensor);
    if (rowSpan === undefined || colSpan === undefined) return shape;
    return [...shape.slice(0, 2), rowSpan.to - rowSpan.from, colSpan.to - colSpan.from];
  };
}

/** Returns the graph as one tile sees it. Operators and weights are the same, and maps are as small as the tile's. */
export function tileGraph(graph: Graph, tile: Tile): Graph {
  const shapeOf = tileShapes(graph, tile);
  const isMap = (index: number) => tile.rows.spans.has(index);
  const tensors = graph.tensors.map((tensor, at) => (isMap(at) ? { ...tensor, shape: shapeOf(at) } : tensor));
  return { ...graph, tensors };
}
