/** The moves from each cut to a later one: the options of the range between, and what that range needs around it. */

import type { Graph } from '../graph/index.js';
import { elementCount, tensorAt } from '../graph/index.js';
import { sizeAlong } from '../tile/index.js';
import type { Alternative, OptionContext, RangeOption } from './range-option.js';
import { rowBytes } from './range-option.js';
import { searchCuts } from './search-cuts.js';

/** One option of the range from a cut to a later one. Cuts are given by their place in `cuts`. */
export interface Move {
  readonly option: RangeOption;
  readonly end: number;
  readonly latencyMs: number;
  readonly heldBytes: number;
  readonly stepBytes: number;
  /** Full maps that it leaves behind, if they stand before it is over. */
  readonly leftBytes: number;
  readonly weightsBytes: number;
  /** Maps that it can be fed row by row; undefined if it can't be linked. */
  readonly feeds: readonly Feed[] | undefined;
}

/** All moves from one cut, and what the search looks at in each, in arrays: it goes over them again and again. */
export interface Moves {
  readonly list: readonly Move[];
  readonly ends: Int32Array;
  readonly latencyMs: Float64Array;
  readonly heldBytes: Float64Array;
  /** Held bytes and the largest step; and with them what is left behind. */
  readonly needBytes: Float64Array;
  readonly fullBytes: Float64Array;
  readonly weightsBytes: Float64Array;
  readonly links: Uint8Array;
}

/** A map that a link reads. */
export interface Feed {
  readonly tensor: number;
  readonly takes: number;
  readonly rows: number;
  readonly rowBytes: number;
  /** Positions of the node that makes it and of the last one that reads it. */
  readonly maker: number;
  readonly lastRead: number;
}

export class RangeTable {
  readonly graph: Graph;
  /** Positions of nodes (search-cuts.ts). */
  readonly cuts: readonly number[];
  readonly #context: OptionContext;
  readonly #alternatives: readonly Alternative[];
  readonly #lean: RangeTable | undefined;
  #leastPeak: number | undefined;
  readonly #moves: (Moves | undefined)[] = [];
  readonly #imageBytes: number;

  /** @param lean whose options are taken over; where its untiled run fits any budget there are no others. */
  constructor(context: OptionContext, alternatives: readonly Alternative[], lean?: RangeTable) {
    const { graph } = context;
    this.#alternatives = alternatives;
    this.#lean = lean;
    this.graph = graph;
    this.cuts = searchCuts(graph, context.maps);
    this.#context = context;
    this.#imageBytes = graph.inputs
      .map((index) => tensorAt(graph, index))
      .filter(({ constant }) => constant === null)
      .reduce((sum, { shape }) => sum + elementCount(shape ?? []), 0);
  }

  movesFrom(start: number): Moves {
    const known = this.#moves[start] ?? inArrays(this.#listMoves(start));
    this.#moves[start] = known;
    return known;
  }

  weightsOf(start: number, end: number): number {
    return this.#context.maps.from(this.cuts[start] ?? 0).weightsBytes[this.cuts[end] ?? 0] ?? 0;
  }

  /** Maps that stand at a cut: the image, and what was computed before and is needed from here on. */
  baseBytes(start: number): number {
    return this.#imageBytes + this.leftBytes(0, start);
  }

  /** Full maps that a range leaves behind. */
  leftBytes(start: number, end: number): number {
    return this.#context.maps.from(this.cuts[start] ?? 0).outputBytes[this.cuts[end] ?? 0] ?? 0;
  }

  #listMoves(start: number): readonly Move[] {
    const moves: Move[] = [];
    const lean = this.#lean?.movesFrom(start).list ?? [];
    for (let end = start + 1; end < this.cuts.length; end += 1) {
      const range = { from: this.cuts[start] ?? 0, to: this.cuts[end] ?? 0 };
      const known = lean.filter((move) => move.end === end);
      const more = this.#isShort(start, known) ? this.#alternatives : [];
      const options = [
        ...known.map(({ option }) => option),
        ...more.flatMap((alternative) => alternative(range, this.#context)),
      ];
      const leftBytes = this.leftBytes(start, end);
      const weightsBytes = this.weightsOf(start, end);
      for (const option of withoutDominated(options)) {
        const { latencyMs, heldBytes, stepBytes, parted } = option;
        const need = { latencyMs, heldBytes, stepBytes, leftBytes: parted ? leftBytes : 0, weightsBytes };
        moves.push({ option, end, ...need, feeds: this.#feedsOf(option) });
      }
    }
    return moves;
  }

  /** Whether a budget that some plan meets may be too small for all known moves that hand over full maps. */
  #isShort(start: number, known: readonly Move[]): boolean {
    if (this.#lean === undefined) return true;
    const whole = known.find(({ option }) => !option.parted);
    const need = whole === undefined ? Number.POSITIVE_INFINITY : whole.heldBytes + whole.stepBytes;
    return this.baseBytes(start) + need > this.#lean.leastPeak();
  }

  /** Less than the largest segment of any plan needs, rows between links apart. */
  leastPeak(): number {
    this.#leastPeak ??= this.#findLeastPeak();
    return this.#leastPeak;
  }

  #findLeastPeak(): number {
    const last = this.cuts.length - 1;
    const least = new Float64Array(last + 1).fill(Number.POSITIVE_INFINITY);
    least[last] = 0;
    for (let at = last - 1; at >= 0; at -= 1) {
      const baseBytes = this.baseBytes(at);
      const { ends, needBytes, links } = this.movesFrom(at);
      for (let move = 0; move < ends.length; move += 1) {
        const need = (needBytes[move] ?? 0) + (links[move] === 1 ? 0 : baseBytes);
        least[at] = Math.min(least[at] ?? 0, Math.max(need, least[ends[move] ?? 0] ?? 0));
      }
    }
    return least[0] ?? 0;
  }

  #feedsOf({ flow }: RangeOption): readonly Feed[] | undefined {
    if (flow === undefined) return undefined;
    const { graph } = this;
    const { maker, lastRead } = this.#context.maps;
    return [...flow.takes].map(([tensor, takes]) => ({
      tensor,
      takes,
      rows: sizeAlong(graph, tensor, 'rows'),
      rowBytes: rowBytes(graph, tensor),
      maker: maker[tensor] ?? -1,
      lastRead: lastRead[tensor] ?? -1,
    }));
  }
}

function inArrays(list: readonly Move[]): Moves {
  return {
    list,
    ends: Int32Array.from(list, ({ end }) => end),
    latencyMs: Float64Array.from(list, ({ latencyMs }) => latencyMs),
    heldBytes: Float64Array.from(list, ({ heldBytes }) => heldBytes),
    needBytes: Float64Array.from(list, ({ heldBytes, stepBytes }) => heldBytes + stepBytes),
    fullBytes: Float64Array.from(
      list,
      ({ heldBytes, stepBytes, leftBytes }) => heldBytes + stepBytes + leftBytes,
    ),
    weightsBytes: Float64Array.from(list, ({ weightsBytes }) => weightsBytes),
    links: Uint8Array.from(list, ({ feeds }) => (feeds === undefined ? 0 : 1)),
  };
}

/** Options that no other one beats in latency, held bytes and largest step alike. */
function withoutDominated(options: readonly RangeOption[]): readonly RangeOption[] {
  return options.filter(
    (option, at) => !options.some((other, otherAt) => otherAt !== at && beats(other, option, otherAt < at)),
  );
}

function beats(a: RangeOption, b: RangeOption, first: boolean): boolean {
  const noWorse =
    a.latencyMs <= b.latencyMs &&
    a.heldBytes <= b.heldBytes &&
    a.stepBytes <= b.stepBytes &&
    Number(a.parted) <= Number(b.parted) &&
    // What links take and give, their rings keep.
    (b.flow === undefined || (a.flow !== undefined && a.givenBytes <= b.givenBytes));
  const isSame = a.latencyMs === b.latencyMs && a.heldBytes === b.heldBytes && a.stepBytes === b.stepBytes;
  return noWorse && (!isSame || first);
}
