import type { Interval, Phase, Stream } from '../../../shared/tile/index.js';

/** Follows a stream through its steps: which rows of each tensor are new. */
export class RowCursor {
  readonly #stream: Stream;
  readonly #rows = new Map<number, number>();

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** The next rows of a tensor, to be asked once a step; undefined for one without space. */
  advance(tensor: number, phase: Phase): Interval | undefined {
    const { space, rows } = this.#stream;
    if (!space.scales.has(tensor)) return undefined;
    const from = this.#rows.get(tensor) ?? 0;
    const to = from + (rows[phase].get(tensor) ?? 0);
    this.#rows.set(tensor, to);
    return { from, to };
  }
}
