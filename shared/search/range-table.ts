/**
 * A range table lists the moves from each cut to a later one. A move is an option of the range between.
 */

import { elementAt } from '../graph/index.js';
import type { Knobs } from './knobs.js';
import type { OptionContext, RangeOption } from './range-option.js';
import { rangeOptions } from './range-option.js';
import { searchCuts } from './search-cuts.js';
import type { Work } from './work.js';

/** One option of the range from a cut to a later one. */
export interface Move extends RangeOption {
  /** Place of the later cut in `cuts`. */
  readonly end: number;
}

/** The moves between all cuts of a graph. */
export class RangeTable {
  readonly knobs: Knobs;
  /** Cuts as positions of nodes (search-cuts.ts). Elsewhere a cut is given by its place in this list. */
  readonly cuts: readonly number[];
  /** Most bytes of a segment that is worth it. */
  readonly mostBytes: number;
  readonly #context: OptionContext;
  readonly #moves: readonly (readonly Move[])[];

  /** Lists all moves. If the work is spent, further ranges are only run whole. */
  constructor(
    context: OptionContext,
    { mostBytes, work }: { readonly mostBytes: number; readonly work: Work },
  ) {
    this.knobs = context.knobs;
    this.cuts = searchCuts(context.graph, context.knobs);
    this.mostBytes = mostBytes;
    this.#context = context;
    this.#moves = this.cuts.map((_, start) => {
      work.begin('options', (start + 1) / this.cuts.length);
      return this.#listMoves(start, work);
    });
  }

  /** Returns all moves from a cut. */
  movesFrom(start: number): readonly Move[] {
    return elementAt(this.#moves, start);
  }

  /** Returns the bytes of the weights that the range between two cuts reads. */
  weightsOf(start: number, end: number): number {
    return this.#context.maps.weights(this.#cutAt(start), this.#cutAt(end));
  }

  /** Returns the bytes of the maps that stand at a cut: the image, and earlier maps that are needed from here on. */
  baseBytes(start: number): number {
    return this.#context.maps.standing(this.#cutAt(start));
  }

  /** Returns the bytes of the full maps that the range between two cuts leaves to later nodes. */
  leftBytes(start: number, end: number): number {
    return this.#context.maps.left(this.#cutAt(start), this.#cutAt(end));
  }

  #cutAt(place: number): number {
    return this.cuts[place] as number;
  }

  #listMoves(start: number, work: Work): readonly Move[] {
    const from = this.#cutAt(start);
    return this.cuts.flatMap((to, end) => {
      if (end <= start) return [];
      const options = rangeOptions({ from, to }, this.#context, work);
      return withoutDominated(options).map((option) => ({ ...option, end }));
    });
  }
}

/** Drops options that another one is nowhere worse than. Of equals the first is kept. */
function withoutDominated(options: readonly RangeOption[]): readonly RangeOption[] {
  let kept: readonly RangeOption[] = [];
  for (const option of options) {
    if (kept.some((other) => isNoWorse(other, option))) continue;
    kept = [...kept.filter((other) => !isNoWorse(option, other)), option];
  }
  return kept;
}

function isNoWorse(a: RangeOption, b: RangeOption): boolean {
  return (
    a.latencyMs <= b.latencyMs &&
    a.heldBytes <= b.heldBytes &&
    a.stepBytes <= b.stepBytes &&
    a.leftBytes <= b.leftBytes &&
    // The rings between links keep the rows that links take and give.
    (b.flow === undefined || (a.flow !== undefined && a.flow.givenBytes <= b.flow.givenBytes))
  );
}
