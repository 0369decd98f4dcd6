/**
 * The ways to run all ranges between two cuts, worked out when they are first asked for, and what maps they need:
 * all that doesn't depend on what work costs, so that searches with other costs share it.
 */
import type { Graph } from '../graph/graph.js';
import { elementCount, tensorAt, tensorBytes } from '../graph/graph.js';
import { boundaryOf } from '../graph/segment-graph.js';
import { weightsBytes } from '../memory/predict.js';
import type { Alternative, OptionContext, RangeShape } from './range-option.js';

export class RangeShapes {
  readonly graph: Graph;
  /** Positions of nodes that begin a layer, and the end. */
  readonly cuts: readonly number[];
  readonly context: OptionContext;
  readonly #alternatives: readonly Alternative[];
  readonly #shapes = new Map<number, readonly RangeShape[]>();
  readonly #weights = new Map<number, number>();
  readonly #passed = new Map<number, readonly number[]>();
  readonly #left = new Map<number, number>();
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
    this.context = context;
    this.#imageBytes = graph.inputs
      .map((index) => tensorAt(graph, index))
      .filter(({ constant }) => constant === null)
      .reduce((sum, { shape }) => sum + elementCount(shape ?? []), 0);
  }

  /** Ways to run what lies between two cuts, given by their place in `cuts`. */
  between(start: number, end: number): readonly RangeShape[] {
    const key = this.#key(start, end);
    const known = this.#shapes.get(key);
    if (known !== undefined) return known;
    const range = { from: this.cuts[start] ?? 0, to: this.cuts[end] ?? 0 };
    const shapes = this.#alternatives.flatMap((alternative) => alternative(range, this.context));
    this.#shapes.set(key, shapes);
    return shapes;
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
