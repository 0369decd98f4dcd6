/** What a tile reads and writes of full maps. */

import type { Interval, Tile } from '../../../shared/tile/index.js';
import { intersect, isEmpty } from '../../../shared/tile/index.js';
import type { Region, TileWrite } from '../wire/protocol.js';

export function region(rows: Interval, cols: Interval): Region {
  return { rowFrom: rows.from, rowTo: rows.to, colFrom: cols.from, colTo: cols.to };
}

export function shift({ from, to }: Interval, by: number): Interval {
  return { from: from + by, to: to + by };
}

/** All that a tile reads of a tensor; null for one without space, which is read whole. */
export function readRegion({ rows, cols }: Tile, tensor: number): Region | null {
  const rowsRead = rows.reads.get(tensor);
  const colsRead = cols.reads.get(tensor);
  return rowsRead === undefined || colsRead === undefined ? null : region(rowsRead, colsRead);
}

/**
 * What a tile owns of the rows `made` of an output, in coordinates of these rows, and where it belongs.
 * `skip` if it owns none of them; undefined for an output without space, which is written whole.
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
