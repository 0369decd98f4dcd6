/** Follows a stream through its steps, and says which rows of each tensor are new. */

import { valueFor } from '../../../shared/graph/index.js';
import type { Interval, Phase, Stream } from '../../../shared/tile/index.js';

export class RowCursor {
  readonly #stream: Stream;
  /** Rows that have passed, by tensor. */
  readonly #rows = new Map<number, number>();

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** The next rows of a tensor, to be asked once a step. undefined if the tensor has no rows and columns. */
  advance(tensor: number, phase: Phase): Interval | undefined {
    const { space, rows } = this.#stream;
    if (!space.scales.has(tensor)) return undefined;
    const from = this.#rows.get(tensor) ?? 0;
    const to = from + valueFor(rows[phase], tensor);
    this.#rows.set(tensor, to);
    return { from, to };
  }
}
