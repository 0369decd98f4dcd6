/**
 * Compiles a segment of streamed tiles: one session, and the steps of one tile after the other. Tiles of one
 * shape follow each other, so that the buffers of their carried rows are allocated once.
 */

import { valueFor } from '../../../shared/graph/index.js';
import type { StreamedTilesSegment, Tile, TileStream } from '../../../shared/tile/index.js';
import { phasesOf } from '../../../shared/tile/index.js';
import type { SegmentProgram, Step } from '../wire/protocol.js';
import { compileLink, streamSpecOf } from './compile-stream.js';
import type { NumberedMaps } from './map-binding.js';
import { RowCursor } from './row-cursor.js';
import { ownedWrite, region, shift } from './tile-region.js';

export function compileStreamedTiles(
  maps: NumberedMaps,
  { streams }: StreamedTilesSegment,
): Pick<SegmentProgram, 'sessions' | 'steps'> {
  const [first] = streams;
  if (first === undefined) throw new RangeError('Cannot compile a segment without tiles');
  const carries = streams.map(({ graph, link }) => streamSpecOf(graph, link));
  const steps = streams.flatMap((stream, at) =>
    stream.tiles.flatMap((tile) => tileSteps(stream, { tile, carries: at })),
  );
  return {
    sessions: [{ ...compileLink(maps, first.link), carries }],
    steps: steps.map((step, at) => ({ ...step, writes: writtenOnce(step.writes, at === 0) })),
  };
}

interface TilePlace {
  readonly tile: Tile;
  /** Index of the tile's shape among the session's carries. */
  readonly carries: number;
}

function tileSteps({ link }: TileStream, { tile, carries }: TilePlace): readonly Step[] {
  const { inputs, outputs } = link.stream.space.boundary;
  const cursor = new RowCursor(link.stream);
  return phasesOf(link.stream).map((phase) => ({
    session: 0,
    phase,
    carries,
    reads: inputs.map((tensor) => {
      const [rows, cols] = [cursor.advance(tensor, phase), tile.cols.reads.get(tensor)];
      if (rows === undefined || cols === undefined) return null;
      return region(shift(rows, valueFor(tile.rows.reads, tensor).from), cols);
    }),
    writes: outputs.map((tensor) => {
      const rows = cursor.advance(tensor, phase);
      const made = rows && shift(rows, valueFor(tile.rows.spans, tensor).from);
      return ownedWrite(tile, { tensor, made }) ?? null;
    }),
  }));
}

/** The writes of a step. An output without rows and columns is the same in every step: the first one writes it. */
function writtenOnce(writes: Step['writes'], isFirst: boolean): Step['writes'] {
  return writes.map((write) => (write === null && !isFirst ? 'skip' : write));
}
