/** The regions of full maps that a tile reads and writes. */

import type { Interval, Tile } from '../../../shared/tile/index.js';
import { intersect, isEmpty } from '../../../shared/tile/index.js';
import type { Region, TileWrite } from '../wire/protocol.js';

export function region(rows: Interval, cols: Interval): Region {
  return { rowFrom: rows.from, rowTo: rows.to, colFrom: cols.from, colTo: cols.to };
}

export function shift({ from, to }: Interval, by: number): Interval {
  return { from: from + by, to: to + by };
}

/** The region that a tile reads of a tensor; null if the tensor has no rows and columns and is read whole. */
export function readRegion({ rows, cols }: Tile, tensor: number): Region | null {
  const rowsRead = rows.reads.get(tensor);
  const colsRead = cols.reads.get(tensor);
  return rowsRead === undefined || colsRead === undefined ? null : region(rowsRead, colsRead);
}

/**
 * The part of an output's rows `made` that a tile owns, in coordinates of these rows, and its place in the
 * map.
 *
 * @returns `skip` if the tile owns none of the rows; undefined if the output has no rows and columns and is
 * written whole.
 */
export function ownedWrite(
  { rows, cols }: Tile,
  {
    tensor,
    made = rows.spans.get(tensor),
  }: { readonly tensor: number; readonly made?: Interval | undefined },
): TileWrite | 'skip' | undefined {
  const [ownRows, ownCols] = [rows.owns.get(tensor), cols.owns.get(tensor)];
  const spanCols = cols.spans.get(tensor);
  if (ownRows === undefined || ownCols === undefined || made === undefined || spanCols === undefined)
    return undefined;
  const owned = intersect(made, ownRows);
  if (isEmpty(owned) || isEmpty(ownCols)) return 'skip';
  const crop = region(shift(owned, -made.from), shift(ownCols, -spanCols.from));
  return { crop, row: owned.from, col: ownCols.from };
}
