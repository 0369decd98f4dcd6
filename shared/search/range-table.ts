/**
 * A range table lists the moves from each cut to a later one. A move is an option of the range between, with the bytes
 * that the range needs around it. Moves are listed when they are first asked for.
 */

import type { Graph } from '../graph/index.js';
import { elementAt, elementCount, knownShape, tensorAt } from '../graph/index.js';
import { sizeAlong } from '../tile/index.js';
import type { MapsFrom } from './range-maps.js';
import type { Alternative, OptionContext, RangeOption } from './range-option.js';
import { rowBytes } from './range-option.js';
import { searchCuts } from './search-cuts.js';

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
  readonly weightsBytes: number;
  /** Maps that can be fed to it row by row. It is undefined if the option can't be linked. */
  readonly feeds: readonly Feed[] | undefined;
}

/** All moves from one cut. Their numbers are in arrays of the same length too, since the search reads them often. */
export interface Moves {
  readonly list: readonly Move[];
  readonly ends: Int32Array;
  readonly latencyMs: Float64Array;
  readonly heldBytes: Float64Array;
  /** Held bytes and the largest step. */
  readonly needBytes: Float64Array;
  /** Held bytes, the largest step, and the full maps that are left to later nodes. */
  readonly fullBytes: Float64Array;
  readonly weightsBytes: Float64Array;
  /** Flags that are 1 for moves that can be linked. */
  readonly links: Uint8Array;
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
  readonly #context: OptionContext;
  readonly #alternatives: readonly Alternative[];
  readonly #lean: RangeTable | undefined;
  #leastPeak: number | undefined;
  readonly #moves: (Moves | undefined)[] = [];
  readonly #imageBytes: number;

  /** @param lean is a table whose options are taken over. Where running whole fits any budget there are no others. */
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
      .reduce((sum, tensor) => sum + elementCount(knownShape(tensor)), 0);
  }

  /** Returns all moves from a cut. */
  movesFrom(start: number): Moves {
    const known = this.#moves[start] ?? inArrays(this.#listMoves(start));
    this.#moves[start] = known;
    return known;
  }

  /** Returns the bytes of the weights that the range between two cuts reads. */
  weightsOf(start: number, end: number): number {
    return this.#mapsFrom(start).weightsBytes[this.cuts[end] as number] as number;
  }

  /** Returns the bytes of the maps that stand at a cut: the image, and earlier maps that are needed from here on. */
  baseBytes(start: number): number {
    return this.#imageBytes + this.leftBytes(0, start);
  }

  /** Returns the bytes of the full maps that the range between two cuts leaves to later nodes. */
  leftBytes(start: number, end: number): number {
    return this.#mapsFrom(start).outputBytes[this.cuts[end] as number] as number;
  }

  /** Returns the bytes around all ranges from a cut. The search asks at each label, so these reads are casts. */
  #mapsFrom(start: number): MapsFrom {
    return this.#context.maps.from(this.cuts[start] as number);
  }

  #listMoves(start: number): readonly Move[] {
    const moves: Move[] = [];
    const lean = this.#lean?.movesFrom(start).list ?? [];
    for (let end = start + 1; end < this.cuts.length; end += 1) {
      const range = { from: elementAt(this.cuts, start), to: elementAt(this.cuts, end) };
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

  /** Whether a budget that some plan meets may be too small for the known move that runs whole. */
  #isShort(start: number, known: readonly Move[]): boolean {
    if (this.#lean === undefined) return true;
    const whole = known.find(({ option }) => !option.parted);
    const need = whole === undefined ? Number.POSITIVE_INFINITY : whole.heldBytes + whole.stepBytes;
    return this.baseBytes(start) + need > this.#lean.leastPeak();
  }

  /** Returns a lower bound on the bytes of the largest segment of any plan, without the rows between links. */
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
      const needs = this.movesFrom(at).list.map(({ end, heldBytes, stepBytes, feeds }) => {
        const need = heldBytes + stepBytes + (feeds === undefined ? baseBytes : 0);
        return Math.max(need, elementAt(least, end));
      });
      least[at] = needs.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    }
    return elementAt(least, 0);
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
      maker: elementAt(maker, tensor),
      lastRead: elementAt(lastRead, tensor),
    }));
  }
}

/** Writes the numbers of moves into arrays. */
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
