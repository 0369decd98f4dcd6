/** The options of all ranges between two cuts, worked out when they are first asked for, and what maps they need. */
import type { Graph } from '../graph/graph.js';
import { elementCount, tensorAt, tensorBytes } from '../graph/graph.js';
import { boundaryOf } from '../graph/segment-graph.js';
import type { Work } from '../memory/device-profile.js';
import type { PredictSettings } from '../memory/predict.js';
import { weightsBytes } from '../memory/predict.js';
import type { OptionContext, RangeOption } from './range-option.js';
import { ALTERNATIVES, optionContext } from './range-option.js';

export class RangeTable {
  readonly graph: Graph;
  /** Positions of nodes that begin a layer, and the end. */
  readonly cuts: readonly number[];
  readonly #context: OptionContext;
  readonly #options = new Map<number, readonly RangeOption[]>();
  readonly #weights = new Map<number, number>();
  readonly #imageBytes: number;

  constructor(graph: Graph, settings: PredictSettings, cost: Work) {
    this.graph = graph;
    this.cuts = [
      ...graph.nodes.flatMap(({ layer }, at) =>
        at === 0 || graph.nodes[at - 1]?.layer !== layer ? [at] : [],
      ),
      graph.nodes.length,
    ];
    this.#context = optionContext(graph, settings, cost);
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
    const all = ALTERNATIVES.flatMap((alternative) => alternative(range, this.#context));
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

  /** Full maps that a range leaves behind. */
  leftBytes(start: number, end: number): number {
    const range = { from: this.cuts[start] ?? 0, to: this.cuts[end] ?? 0 };
    return this.#sumBytes(boundaryOf(this.graph, range).outputs);
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
