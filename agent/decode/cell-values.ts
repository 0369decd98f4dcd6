/** Reads the values of cells, however an output lays them out. */
import type { DecodeContext, OutputShape, OutputValues } from './box-decoder.js';
import { misfit } from './box-decoder.js';

export interface CellValues {
  readonly cells: number;
  /** Number of values of a cell. */
  readonly count: number;
  readonly at: (cell: number, value: number) => number;
}

/**
 * Cells of rows [1, cells, values] or [cells, values], of a map [1, values, rows, cols], or of anchors that have rows each,
 * [1, anchors, rows, cols, values]. The cells of one anchor follow those of the other.
 */
export function cellsOf({ shape, values }: OutputValues): CellValues {
  const { cells, count } = cellShape({ shape });
  const isMap = shape.length === 4;
  const at = isMap
    ? (cell: number, value: number) => values[value * cells + cell] ?? Number.NaN
    : (cell: number, value: number) => values[cell * count + value] ?? Number.NaN;
  return { cells, count, at };
}

/** Numbers of cells and of their values. Both are zero where a shape has neither rows nor maps. */
export function cellShape({ shape }: Pick<OutputShape, 'shape'>): Pick<CellValues, 'cells' | 'count'> {
  if (shape.length === 2) return { cells: shape[0] ?? 0, count: shape[1] ?? 0 };
  const [batch, ...dims] = shape;
  if (batch !== 1 || dims.length < 2 || dims.length > 4) return { cells: 0, count: 0 };
  const counted = dims.length === 3 ? 0 : dims.length - 1;
  const cells = dims.reduce((product, dim, at) => (at === counted ? product : product * dim), 1);
  return { cells, count: dims[counted] ?? 0 };
}

export interface ExpectedCells {
  readonly output: string;
  readonly cells: number;
  readonly count: number;
}

/** @throws {RangeError} if an output has other numbers of cells or of their values. */
export function readCells({ read }: DecodeContext, { output, cells, count }: ExpectedCells): CellValues {
  const tensor = read(output);
  const found = cellsOf(tensor);
  if (found.cells === cells && found.count === count) return found;
  throw misfit(output, tensor.shape, `${cells} cells of ${count} values`);
}
