import type { Graph } from '../graph/graph.js';
import { knownShape, tensorAt } from '../graph/graph.js';
import type { NodeRange } from '../graph/segment-graph.js';
import type { Segment, TiledSegment } from './segment.js';
import type { ShapeOf } from './shape-of.js';
import type { StreamLink } from './stream.js';
import { phasesOf } from './stream.js';
import type { CarryPorts } from './stream-graph.js';
import { buildLinkGraph } from './stream-graph.js';
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

/** What one session of a segment runs, and the shapes it sees. */
export interface SessionRun {
  /** The network's graph; of a stream, the link's. */
  readonly graph: Graph;
  readonly range: NodeRange;
  /** Of every step that differs from the others. */
  readonly shapes: readonly ShapeOf[];
  /** What a stream carries from step to step; none for other modes. */
  readonly ports: readonly CarryPorts[];
}

/** The sessions of a segment: one, or one a link. */
export function sessionsOf(graph: Graph, segment: Segment): readonly SessionRun[] {
  switch (segment.kind) {
    case 'whole':
      return [{ graph, range: segment, shapes: [wholeShapes(graph)], ports: [] }];
    case 'tiles': {
      const shapes = tilesOfGrid(segment).map((tile) => tileShapes(graph, tile));
      return [{ graph, range: segment, shapes, ports: [] }];
    }
    case 'stream':
      return segment.links.map((link) => linkRun(graph, link));
  }
}

function linkRun(graph: Graph, link: StreamLink): SessionRun {
  const { graph: linked, shapes, ports } = buildLinkGraph(graph, link);
  const phases = new Set(phasesOf(link.stream));
  return {
    graph: linked,
    range: { from: 0, to: linked.nodes.length },
    shapes: [...phases].map((phase) => shapes[phase]),
    ports,
  };
}
