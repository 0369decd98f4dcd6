/** The options of all ranges between two cuts, worked out when they are first asked for, and what maps they need. */
import type { Graph } from '../graph/graph.js';
import { elementCount, tensorAt, tensorBytes } from '../graph/graph.js';
import { boundaryOf } from '../graph/segment-graph.js';
import { weightsBytes } from '../memory/predict.js';
import type { Alternative, OptionContext, RangeOption } from './range-option.js';

export class RangeTable {
  readonly graph: Graph;
  /** Positions of nodes that begin a layer, and the end. */
  readonly cuts: readonly number[];
  readonly #context: OptionContext;
  readonly #alternatives: readonly Alternative[];
  readonly #options = new Map<number, readonly RangeOption[]>();
  readonly #weights = new Map<number, number>();
  readonly #passed = new Map<number, readonly number[]>();
  readonly #left = new Map<number, number>();
  readonly #least: number[] = [];
  readonly #imageBytes: number;

  constructor(context: OptionContext, alternatives: readonly Alternative[]) {
    const { graph } = context;
    this.#alternatives = alternatives;
    this.graph = graph;
    this.cuts = [
      ...graph.nodes.flatMap(({ layer }, at) =>
        at === 0 || graph.nodes[at - 1]?.layer !== layer ? [at] : [],
      ),
      graph.nodes.length,
    ];
    this.#context = context;
    this.#imageBytes = graph.inputs
      .map((index) => tensorAt(graph, index))
      .filter(({ constant }) => constant === null)
      .reduce((sum, { shape }) => sum + elementCount(shape ?? []), 0);
  }

  /** Options between two cuts, given by their place in `cuts`. */
  optionsOf(start: number, end: number): readonly RangeOption[] {
    const key = this.#key(start, end);
    const known = this.#options.get(key);
    if (known !== undefined) return known;
    const range = { from: this.cuts[start] ?? 0, to: this.cuts[end] ?? 0 };
    const all = this.#alternatives.flatMap((alternative) => alternative(range, this.#context));
    const options = withoutDominated(all);
    this.#options.set(key, options);
    return options;
  }

  weightsOf(start: number, end: number): number {
    const key = this.#key(start, end);
    const known =
      this.#weights.get(key) ??
      weightsBytes(this.graph, { from: this.cuts[start] ?? 0, to: this.cuts[end] ?? 0 });
    this.#weights.set(key, known);
    return known;
  }

  /** Maps that stand at a cut: the image, and what was computed before and is needed from here on. */
  baseBytes(start: number): number {
    const { outputs } = boundaryOf(this.graph, { from: 0, to: this.cuts[start] ?? 0 });
    return this.#imageBytes + this.#sumBytes(outputs);
  }

  /** Least latency from a cut to the end, whatever memory that takes. */
  leastLatency(start: number): number {
    if (this.#least.length === 0) {
      const last = this.cuts.length - 1;
      this.#least[last] = 0;
      for (let at = last - 1; at >= 0; at -= 1) {
        let least = Number.POSITIVE_INFINITY;
        for (let end = at + 1; end <= last; end += 1) {
          for (const { latencyMs } of this.optionsOf(at, end)) {
            least = Math.min(least, latencyMs + (this.#least[end] ?? 0));
          }
        }
        this.#least[at] = least;
      }
    }
    return this.#least[start] ?? 0;
  }

  /** Tensors made between `start` and `at` that are read between `at` and `end`, and not behind it. */
  passedOn(start: number, at: number, end: number): readonly number[] {
    const key = this.#key(start, at) * this.cuts.length + end;
    const known = this.#passed.get(key);
    if (known !== undefined) return known;
    const range = (to: number) => ({ from: this.cuts[start] ?? 0, to: this.cuts[to] ?? 0 });
    const behind = new Set(boundaryOf(this.graph, range(end)).outputs);
    const passed = boundaryOf(this.graph, range(at)).outputs.filter((tensor) => !behind.has(tensor));
    this.#passed.set(key, passed);
    return passed;
  }

  /** Full maps that a range leaves behind. */
  leftBytes(start: number, end: number): number {
    const key = this.#key(start, end);
    const range = { from: this.cuts[start] ?? 0, to: this.cuts[end] ?? 0 };
    const bytes = this.#left.get(key) ?? this.#sumBytes(boundaryOf(this.graph, range).outputs);
    this.#left.set(key, bytes);
    return bytes;
  }

  #sumBytes(tensors: readonly number[]): number {
    return tensors.reduce((sum, index) => sum + tensorBytes(tensorAt(this.graph, index)), 0);
  }

  #key(start: number, end: number): number {
    return start * this.cuts.length + end;
  }
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
    (b.flow === undefined || a.flow !== undefined);
  const isSame = a.latencyMs === b.latencyMs && a.heldBytes === b.heldBytes && a.stepBytes === b.stepBytes;
  return noWorse && (!isSame || first);
}
