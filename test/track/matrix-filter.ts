/** The Kalman filter of SORT as its paper and its code have it, with full matrices: the oracle of BoxFilter. */

import type { Box } from '../../agent/decode/detection.js';
import { elementAt } from '../../shared/graph/index.js';

type Matrix = readonly (readonly number[])[];

const diagonal = (values: readonly number[]): Matrix =>
  values.map((value, row) => values.map((_, col) => (row === col ? value : 0)));
const entry = (matrix: Matrix, row: number, col: number) => elementAt(elementAt(matrix, row), col);
const transpose = (matrix: Matrix): Matrix =>
  elementAt(matrix, 0).map((_, col) => matrix.map((row) => elementAt(row, col)));
const add = (a: Matrix, b: Matrix, sign = 1): Matrix =>
  a.map((values, row) => values.map((value, col) => value + sign * entry(b, row, col)));
const multiply = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) =>
    transpose(b).map((col) => row.reduce((sum, value, at) => sum + value * elementAt(col, at), 0)),
  );

/** Gauss and Jordan, without a choice of pivots: covariances are positive definite. */
function invert(matrix: Matrix): Matrix {
  const size = matrix.length;
  const rows = matrix.map((row, at) => [...row, ...elementAt(diagonal(new Array(size).fill(1)), at)]);
  for (let pivot = 0; pivot < size; pivot += 1) {
    const scale = entry(rows, pivot, pivot);
    rows[pivot] = elementAt(rows, pivot).map((value) => value / scale);
    for (let row = 0; row < size; row += 1) {
      if (row === pivot) continue;
      const factor = entry(rows, row, pivot);
      rows[row] = elementAt(rows, row).map((value, col) => value - factor * entry(rows, pivot, col));
    }
  }
  return rows.map((row) => row.slice(size));
}

/** u, v, s, r, then the velocities of u, v, s. */
const MOTION = diagonal([1, 1, 1, 1, 1, 1, 1]).map((row, at) =>
  row.map((value, col) => (at < 3 && col === at + 4 ? 1 : value)),
);
const SEEN = diagonal([1, 1, 1, 1, 1, 1, 1]).slice(0, 4);
const MEASURED = diagonal([1, 1, 10, 10]);
const STEP = diagonal([1, 1, 1, 1, 0.01, 0.01, 0.0001]);

export class MatrixFilter {
  #state: Matrix;
  #covariance = diagonal([10, 10, 10, 10, 10_000, 10_000, 10_000]);

  constructor(box: Box) {
    this.#state = [...column(box), [0], [0], [0]];
  }

  get box(): Box {
    const [x, y, area, ratio] = [0, 1, 2, 3].map((row) => entry(this.#state, row, 0));
    const width = Math.sqrt((area ?? 0) * (ratio ?? 0));
    return { centerX: x ?? 0, centerY: y ?? 0, width, height: (area ?? 0) / width };
  }

  predict(): void {
    const [area, velocity] = [entry(this.#state, 2, 0), entry(this.#state, 6, 0)];
    if (area + velocity <= 0) this.#state = this.#state.with(6, [0]);
    this.#state = multiply(MOTION, this.#state);
    this.#covariance = add(multiply(multiply(MOTION, this.#covariance), transpose(MOTION)), STEP);
  }

  correct(box: Box): void {
    const total = add(multiply(multiply(SEEN, this.#covariance), transpose(SEEN)), MEASURED);
    const gain = multiply(multiply(this.#covariance, transpose(SEEN)), invert(total));
    const surprise = add(column(box), multiply(SEEN, this.#state), -1);
    this.#state = add(this.#state, multiply(gain, surprise));
    const kept = add(diagonal([1, 1, 1, 1, 1, 1, 1]), multiply(gain, SEEN), -1);
    this.#covariance = multiply(kept, this.#covariance);
  }
}

function column({ centerX, centerY, width, height }: Box): Matrix {
  return [[centerX], [centerY], [width * height], [width / height]];
}
