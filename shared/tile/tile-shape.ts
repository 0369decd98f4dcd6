import type { Graph } from '../graph/index.js';
import { knownShape, tensorAt } from '../graph/index.js';
import type { ShapeOf } from './shape-of.js';
import type { AxisTile, Grid, Tile } from './tile-axis.js';

/** All tiles of a grid, row by row. */
export function tilesOfGrid({ rowTiles, colTiles }: Grid): readonly Tile[] {
  return rowTiles.flatMap((rows) => colTiles.map((cols) => ({ rows, cols })));
}

/** Tiles whose spans of the reference map are as long have the same shapes throughout. */
export function shapeKey({ rows, cols }: Tile, reference: number): string {
  const lengthOf = ({ spans }: AxisTile) => {
    const { from, to } = spans.get(reference) ?? { from: 0, to: 0 };
    return to - from;
  };
  return `${lengthOf(rows)}x${lengthOf(cols)}`;
}

export function wholeShapes(graph: Graph): ShapeOf {
  return (tensor) => knownShape(tensorAt(graph, tensor));
}

/** Tensors without space keep their whole shape in every tile. */
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

/** The graph as one tile sees it: operators and weights are the same, maps are as small as the tile's. */
export function tileGraph(graph: Graph, tile: Tile): Graph {
  const shapeOf = tileShapes(graph, tile);
  const isMap = (index: number) => tile.rows.spans.has(index);
  const tensors = graph.tensors.map((tensor, at) => (isMap(at) ? { ...tensor, shape: shapeOf(at) } : tensor));
  return { ...graph, tensors };
}
