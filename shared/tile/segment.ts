/** A segment: a range of nodes and how it is run, with the geometry of its tiles. */
import type { Graph } from '../graph/graph.js';
import { localityOf } from '../graph/locality.js';
import type { NodeRange } from '../graph/segment-graph.js';
import type { Mode } from './mode.js';
import { tilesOf, WHOLE } from './mode.js';
import type { Axis, Space } from './space.js';
import { spaceOf } from './space.js';
import type { AxisTile } from './tile-axis.js';
import { countUnits, tileAxis } from './tile-axis.js';

export type Segment = WholeSegment | TiledSegment;

export interface WholeSegment extends NodeRange {
  readonly kind: 'whole';
}

export interface TiledSegment extends NodeRange {
  readonly kind: 'tiles';
  readonly space: Space;
  readonly rowTiles: readonly AxisTile[];
  readonly colTiles: readonly AxisTile[];
}

/** The mode a segment really runs in. */
export function modeOf(segment: Segment): Mode {
  return segment.kind === 'whole' ? WHOLE : tilesOf(segment.rowTiles.length, segment.colTiles.length);
}

/**
 * Segments for a range in a mode. What can't be tiled makes a cut there and runs whole; a grid finer than
 * the map allows is made coarser. The result says what really runs.
 */
export function planRange(graph: Graph, range: NodeRange, mode: Mode): readonly Segment[] {
  if (mode.kind === 'whole') return [wholeOf(range)];
  return splitAtBarriers(graph, range).map((part) =>
    part.local ? tileRange(graph, part, mode) : wholeOf(part),
  );
}

function wholeOf({ from, to }: NodeRange): WholeSegment {
  return { kind: 'whole', from, to };
}

function tileRange(graph: Graph, range: NodeRange, mode: Extract<Mode, { kind: 'tiles' }>): Segment {
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

type Run = NodeRange & { readonly local: boolean };

/** Maximal runs of layers that are all local or hold a barrier; layers are never torn, plans cut between them. */
function splitAtBarriers(graph: Graph, { from, to }: NodeRange): readonly Run[] {
  const runs: Run[] = [];
  for (let at = from; at < to; ) {
    const end = endOfLayer(graph, { from: at, to });
    const local = graph.nodes.slice(at, end).every((node) => localityOf(graph, node).kind === 'local');
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
