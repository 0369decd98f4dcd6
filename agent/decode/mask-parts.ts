/** The connected parts of a mask. */
import { elementAt } from '../../shared/graph/index.js';

export interface Mask {
  readonly rows: number;
  readonly cols: number;
  /** One for each cell that belongs to the object, row by row. */
  readonly cells: Uint8Array;
}

/** Whether cells that touch at a corner only are one part. */
export type Touching = 'sides' | 'corners';

/** Cells of each part. The first one of a part is its first in the order of rows; so is the order of parts. */
export function* partsOf(mask: Mask, touching: Touching): Generator<readonly number[]> {
  const left = { ...mask, cells: mask.cells.slice() };
  for (let cell = 0; cell < left.cells.length; cell += 1)
    if (left.cells[cell] !== 0) yield takePart(left, cell, touching);
}

/** Cells of the part that a cell belongs to, which are taken out of the mask. */
function takePart({ cells, rows, cols }: Mask, start: number, touching: Touching): readonly number[] {
  const part = [start];
  cells[start] = 0;
  for (let at = 0; at < part.length; at += 1) {
    const cell = elementAt(part, at);
    const [row, col] = [Math.floor(cell / cols), cell % cols];
    for (let y = Math.max(0, row - 1); y <= Math.min(rows - 1, row + 1); y += 1)
      for (let x = Math.max(0, col - 1); x <= Math.min(cols - 1, col + 1); x += 1) {
        const other = y * cols + x;
        const isReached = touching === 'corners' || y === row || x === col;
        if (!isReached || cells[other] === 0) continue;
        cells[other] = 0;
        part.push(other);
      }
  }
  return part;
}
