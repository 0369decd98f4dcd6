/** What an answer says of a class map: how much of the image each class takes, and where it is. */
import type { ClassCells } from './class-map-decoder.js';
import type { ShownCells } from './shown-cells.js';

export interface ClassShare {
  readonly label: string;
  readonly classId: number;
  /** Share of the part of the image that the map covers, 0 to 1. */
  readonly share: number;
}

/** A map of classes over a part of the image, row by row. */
export interface ClassMap {
  readonly width: number;
  readonly height: number;
  /** The part of the image that it covers, in pixels of the image: all of it, but for a crop. */
  readonly area: ShownCells['area'];
  /** A class and its number of cells, then the next ones, from the upper left corner on. A run may go on in the next row. */
  readonly runs: readonly number[];
}

/** Most runs of a map: 100 KB of JSON. A map with more is made coarser. */
const MAX_RUNS = 2 ** 14;

/** Shares of the classes that occur, the largest first. */
export function sharesOf({ cells }: ClassCells, labelOf: (classId: number) => string): readonly ClassShare[] {
  const counts = new Float64Array(256);
  for (const classId of cells) counts[classId] = (counts[classId] ?? 0) + 1;
  return [...counts]
    .map((count, classId) => ({ label: labelOf(classId), classId, share: count / cells.length }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share);
}

/** The map with each cell, or with every second, fourth, ... one of both directions, so that its runs are few enough. */
export function describeMap(map: ClassCells, area: ClassMap['area']): ClassMap {
  for (let step = 1; ; step *= 2) {
    const { rows, cols, cells } = everyCell(map, step);
    const runs = runsOf(cells);
    if (runs !== undefined) return { width: cols, height: rows, area, runs };
  }
}

/** The cells that a map shows of an image. */
export function cropCells({ cols, cells }: ClassCells, part: ShownCells['cells']): ClassCells {
  const cropped = new Uint8Array(part.width * part.height);
  for (let row = 0; row < part.height; row += 1) {
    const start = (part.top + row) * cols + part.left;
    cropped.set(cells.subarray(start, start + part.width), row * part.width);
  }
  return { rows: part.height, cols: part.width, cells: cropped };
}

/** One cell of each square of `step` cells, that in its middle. */
function everyCell(map: ClassCells, step: number): ClassCells {
  if (step === 1) return map;
  const [rows, cols] = [Math.ceil(map.rows / step), Math.ceil(map.cols / step)];
  const middle = (at: number, length: number) => Math.min(length - 1, at * step + step / 2);
  const cells = new Uint8Array(rows * cols);
  for (let row = 0; row < rows; row += 1)
    for (let col = 0; col < cols; col += 1) {
      const from = middle(row, map.rows) * map.cols + middle(col, map.cols);
      cells[row * cols + col] = map.cells[from] as number;
    }
  return { rows, cols, cells };
}

/** Undefined if there are too many. */
function runsOf(cells: Uint8Array): readonly number[] | undefined {
  const runs: number[] = [];
  for (let from = 0, to = 1; from < cells.length; to += 1) {
    if (to < cells.length && cells[to] === cells[from]) continue;
    if (runs.length === 2 * MAX_RUNS) return undefined;
    runs.push(cells[from] as number, to - from);
    from = to;
  }
  return runs;
}
