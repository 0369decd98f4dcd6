/**
 * Assigns rows to columns at the least total cost (the linear assignment problem).
 *
 * One row after the other gets a place: from it the shortest augmenting path to a free column is searched, by
 * Dijkstra's algorithm on reduced costs, and the columns on the path change hands. It takes O(n^2 m) for n rows and m
 * columns.
 * Source: Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems"
 * (1987), its augmentation without the heuristics before it; Kuhn (1955) for the problem.
 */
import { elementAt } from '../../shared/graph/index.js';

/** Finite costs, row by row. */
export interface CostMatrix {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float64Array;
}

/** @returns the column of each row, or -1. As many rows as there can be have one. */
export function assign(costs: CostMatrix): readonly number[] {
  if (costs.rows <= costs.cols) return assignEachRow(costs);
  const rowOf = assignEachRow(transpose(costs));
  const columns = new Array<number>(costs.rows).fill(-1);
  for (const [column, row] of rowOf.entries()) columns[row] = column;
  return columns;
}

function transpose({ rows, cols, values }: CostMatrix): CostMatrix {
  const turned = new Float64Array(values.length);
  for (let row = 0; row < rows; row += 1)
    for (let col = 0; col < cols; col += 1) turned[col * rows + row] = elementAt(values, row * cols + col);
  return { rows: cols, cols: rows, values: turned };
}

const FREE = -1;

/** What augmentations leave: a price of each row and column, and the row that has each column. */
interface Prices {
  readonly row: Float64Array;
  readonly col: Float64Array;
  readonly rowOf: Int32Array;
}

/** At most as many rows as columns. */
function assignEachRow(costs: CostMatrix): readonly number[] {
  const { rows, cols } = costs;
  const prices: Prices = {
    row: new Float64Array(rows),
    col: new Float64Array(cols),
    rowOf: new Int32Array(cols).fill(FREE),
  };
  for (let row = 0; row < rows; row += 1) augment(costs, prices, row);
  const columns = new Array<number>(rows).fill(-1);
  for (const [col, row] of prices.rowOf.entries()) if (row !== FREE) columns[row] = col;
  return columns;
}

/** The search from one row: distance of each column, the column before it, and which are settled. */
interface Paths {
  readonly distance: Float64Array;
  readonly before: Int32Array;
  readonly settled: Uint8Array;
}

function augment(costs: CostMatrix, prices: Prices, start: number): void {
  const { cols } = costs;
  const paths: Paths = {
    distance: new Float64Array(cols).fill(Number.POSITIVE_INFINITY),
    before: new Int32Array(cols).fill(FREE),
    settled: new Uint8Array(cols),
  };
  let [row, col, reached] = [start, FREE, 0];
  do {
    relax(costs, { prices, paths, row, col, reached });
    col = nearest(paths);
    reached = elementAt(paths.distance, col);
    paths.settled[col] = 1;
    row = elementAt(prices.rowOf, col);
  } while (row !== FREE);
  reprice(prices, paths, { start, end: col });
  handOver(prices, paths, { start, end: col });
}

interface Reach {
  readonly prices: Prices;
  readonly paths: Paths;
  /** The row that the search has reached, and the column that led there. */
  readonly row: number;
  readonly col: number;
  readonly reached: number;
}

function relax({ cols, values }: CostMatrix, { prices, paths, row, col: before, reached }: Reach): void {
  const { distance, settled } = paths;
  const base = reached - elementAt(prices.row, row);
  for (let col = 0; col < cols; col += 1) {
    if (settled[col] === 1) continue;
    const through = base + elementAt(values, row * cols + col) - elementAt(prices.col, col);
    if (through >= elementAt(distance, col)) continue;
    distance[col] = through;
    paths.before[col] = before;
  }
}

/** The nearest column that isn't settled. */
function nearest({ distance, settled }: Paths): number {
  let best = FREE;
  let least = Number.POSITIVE_INFINITY;
  for (let col = 0; col < distance.length; col += 1) {
    const length = elementAt(distance, col);
    if (settled[col] === 1 || length >= least) continue;
    [best, least] = [col, length];
  }
  return best;
}

interface Ends {
  readonly start: number;
  readonly end: number;
}

/** Keeps reduced costs at 0 or above, and at 0 on the path and where a row has a column. */
function reprice({ row, col, rowOf }: Prices, { distance, settled }: Paths, { start, end }: Ends): void {
  const length = elementAt(distance, end);
  row[start] = elementAt(row, start) + length;
  for (let at = 0; at < distance.length; at += 1) {
    if (settled[at] !== 1 || at === end) continue;
    const change = length - elementAt(distance, at);
    const owner = elementAt(rowOf, at);
    row[owner] = elementAt(row, owner) + change;
    col[at] = elementAt(col, at) - change;
  }
}

/** Each row on the path takes the next column; the first row is new. */
function handOver({ rowOf }: Prices, { before }: Paths, { start, end }: Ends): void {
  let col = end;
  for (let previous = elementAt(before, col); previous !== FREE; previous = elementAt(before, col)) {
    rowOf[col] = elementAt(rowOf, previous);
    col = previous;
  }
  rowOf[col] = start;
}
