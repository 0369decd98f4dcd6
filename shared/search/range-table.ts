/**
 * A range table lists the moves from each cut to a later one. A move is an option of the range between, with the bytes
 * that the range needs around it. Moves are listed when they are first asked for.
 */

import type { Graph } from '../graph/index.js';
import { elementAt } from '../graph/index.js';
import type { RangeMaps } from '../predict/index.js';
import { rangeMapsOf } from '../predict/index.js';
import { sizeAlong } from '../tile/index.js';
import type { OptionContext, RangeOption } from './range-option.js';
import { rangeOptions, rowBytes } from './range-option.js';
import { searchCuts } from './search-cuts.js';
import type { Work } from './work.js';

/** One option of the range from a cut to a later one. */
export interface Move {
  readonly option: RangeOption;
  /** Place of the later cut in `cuts`. */
  readonly end: number;
  readonly latencyMs: number;
  readonly heldBytes: number;
  readonly stepBytes: number;
  /** Bytes of the full maps that it leaves to later nodes, if they stand before it is over. */
  readonly leftBytes: number;
  /** Maps that can be fed to it row by row. It is undefined if the option can't be linked. */
  readonly feeds: readonly Feed[] | undefined;
}

/** A map that a link reads. */
export interface Feed {
  readonly tensor: number;
  /** Most new rows that the link takes in a step. */
  readonly takes: number;
  /** Rows of the full map. */
  readonly rows: number;
  readonly rowBytes: number;
  /** Position of the node that makes the map. It is -1 for an input of the graph. */
  readonly maker: number;
  /** Position of the last node that reads the map. It is infinite for an output of the graph. */
  readonly lastRead: number;
}

/** The moves between all cuts of a graph. */
export class RangeTable {
  readonly graph: Graph;
  /** Cuts as positions of nodes (search-cuts.ts). Elsewhere a cut is given by its place in this list. */
  readonly cuts: readonly number[];
  /** Most bytes of a segment that is worth it. */
  readonly mostBytes: number;
  readonly #context: OptionContext;
  readonly #moves: readonly (readonly Move[])[];
  readonly #maps: RangeMaps;

  /** Lists all moves. If the work is spent, further ranges are only run whole. */
  constructor(
    context: OptionContext,
    { mostBytes, work }: { readonly mostBytes: number; readonly work: Work },
  ) {
    const { graph } = context;
    this.graph = graph;
    this.cuts = searchCuts(graph);
    this.mostBytes = mostBytes;
    this.#context = context;
    this.#maps = rangeMapsOf(graph);
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
    return this.#maps.weights(this.#cutAt(start), this.#cutAt(end));
  }

  /** Returns the bytes of the maps that stand at a cut: the image, and earlier maps that are needed from here on. */
  baseBytes(start: number): number {
    return this.#maps.standing(this.#cutAt(start));
  }

  /** Returns the bytes of the full maps that the range between two cuts leaves to later nodes. */
  leftBytes(start: number, end: number): number {
    return this.#maps.left(this.#cutAt(start), this.#cutAt(end));
  }

  #cutAt(place: number): number {
    return this.cuts[place] as number;
  }

  #listMoves(start: number, work: Work): readonly Move[] {
    const from = elementAt(this.cuts, start);
    return this.cuts.flatMap((to, end) => {
      if (end <= start) return [];
      const options = rangeOptions({ from, to }, this.#context, work);
      return withoutDominated(options).map((option) => this.#moveOf(option, { start, end }));
    });
  }

  #moveOf(option: RangeOption, { start, end }: { readonly start: number; readonly end: number }): Move {
    const { latencyMs, heldBytes, stepBytes, parted } = option;
    const leftBytes = parted ? this.leftBytes(start, end) : 0;
    return { option, end, latencyMs, heldBytes, stepBytes, leftBytes, feeds: this.#feedsOf(option) };
  }

  #feedsOf({ flow }: RangeOption): readonly Feed[] | undefined {
    if (flow === undefined) return undefined;
    const { graph } = this;
    const { maker, lastRead } = this.#maps;
    return [...flow.takes].map(([tensor, takes]) => ({
      tensor,
      takes,
      rows: sizeAlong(graph, tensor, 'rows'),
      rowBytes: rowBytes(graph, tensor),
      maker: elementAt(maker, tensor),
      lastRead: elementAt(lastRead, tensor),
    }));
  }
}

/** Drops options that another one beats in latency, held bytes and largest step alike. */
function withoutDominated(options: readonly RangeOption[]): readonly RangeOption[] {
  return options.filter(
    (option, at) => !options.some((other, otherAt) => otherAt !== at && beats(other, option, otherAt < at)),
  );
}

/** Whether `a` is nowhere worse than `b`, and better somewhere. Of equals the first one beats the other. */
function beats(a: RangeOption, b: RangeOption, first: boolean): boolean {
  const noWorse =
    a.latencyMs <= b.latencyMs &&
    a.heldBytes <= b.heldBytes &&
    a.stepBytes <= b.stepBytes &&
    Number(a.parted) <= Number(b.parted) &&
    // The rings between links keep the rows that links take and give.
    (b.flow === undefined || (a.flow !== undefined && a.givenBytes <= b.givenBytes));
  const isSame = a.latencyMs === b.latencyMs && a.heldBytes === b.heldBytes && a.stepBytes === b.stepBytes;
  return noWorse && (!isSame || first);
}
