import type { Graph } from '../graph/graph.js';
import { knownShape, tensorAt } from '../graph/graph.js';
import type { TiledSegment } from './segment.js';
import type { ShapeOf } from './shape-of.js';
import type { AxisTile } from './tile-axis.js';

export interface Tile {
  readonly rows: AxisTile;
  readonly cols: AxisTile;
}

/** All tiles of a grid, row by row. */
export function tilesOfGrid(segment: TiledSegment): readonly Tile[] {
  return segment.rowTiles.flatMap((rows) => segment.colTiles.map((cols) => ({ rows, cols })));
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
