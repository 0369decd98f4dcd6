/**
 * What one node costs when its output has some number of rows: asked of the predictor once for each number, since
 * the search asks for the same again and again.
 */

import type { Graph, Node } from '../graph/index.js';
import { knownShape, tensorAt } from '../graph/index.js';
import type { KernelSettings, WorkAmounts } from '../predict/index.js';
import {
  convScratchBytes,
  countMacs,
  countOperationWork,
  isActivation,
  latencyOf,
  runsInPlace,
} from '../predict/index.js';
import { wholeShapes } from '../tile/index.js';

export interface KernelCost {
  readonly ms: number;
  readonly scratchBytes: number;
}

/** A node as the search sees it. */
export interface Kernel {
  readonly node: Node;
  /** Inputs that are computed or given, by their place; -1 for constants and absent ones. */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  /** Multiplies; else it costs what it moves. */
  readonly multiplies: boolean;
  readonly isConv: boolean;
  readonly isActivation: boolean;
  readonly runsInPlace: boolean;
}

/** More columns than any map has. */
const MAX_COLS = 2 ** 20;

export class KernelCosts {
  readonly kernels: readonly Kernel[];
  readonly #graph: Graph;
  readonly #settings: KernelSettings;
  readonly #cost: WorkAmounts;
  /** By node, then by rows and columns. */
  readonly #known: readonly Map<number, KernelCost>[];

  constructor(
    graph: Graph,
    { settings: { level, threads }, cost }: { readonly settings: KernelSettings; readonly cost: WorkAmounts },
  ) {
    this.#graph = graph;
    this.#settings = { level, threads };
    this.#cost = cost;
    this.#known = graph.nodes.map(() => new Map());
    this.kernels = graph.nodes.map((node) => kernelOf(graph, node));
  }

  /** Of a node that multiplies, by the rows and columns of its output; all columns if these aren't given. */
  of(at: number, rows: number, cols = 0): KernelCost {
    const ofNode = this.#known[at] ?? new Map<number, KernelCost>();
    const key = rows * MAX_COLS + cols;
    let known = ofNode.get(key);
    if (known === undefined) {
      known = this.#compute(at, rows, cols);
      ofNode.set(key, known);
    }
    return known;
  }

  #compute(at: number, rows: number, cols: number): KernelCost {
    const graph = this.#graph;
    const node = this.kernels[at]?.node;
    if (node === undefined) throw new RangeError(`Cannot cost node ${at}: "${graph.name}" has no such node`);
    const output = node.outputs[0] ?? -1;
    const shapeOf = (tensor: number) => {
      const shape = knownShape(tensorAt(graph, tensor));
      if (tensor !== output || shape.length !== 4) return shape;
      return [shape[0] ?? 1, shape[1] ?? 1, rows, cols === 0 ? (shape[3] ?? 1) : cols];
    };
    const operation = { node, reads: [], writes: node.outputs };
    return {
      ms: latencyOf(countOperationWork(graph, { operation, before: undefined, shapeOf }), this.#cost),
      scratchBytes: convScratchBytes(graph, node, { shapeOf, ...this.#settings }),
    };
  }
}

function kernelOf(graph: Graph, node: Node): Kernel {
  const isRead = (index: number) => index >= 0 && tensorAt(graph, index).constant === null;
  return {
    node,
    reads: node.inputs.map((index) => (isRead(index) ? index : -1)),
    writes: node.outputs.filter((index) => index >= 0),
    multiplies: hasShapes(graph, node) && countMacs(graph, node, wholeShapes(graph)) > 0,
    isConv: node.op === 'Conv',
    isActivation: isActivation(node),
    runsInPlace: runsInPlace(node),
  };
}

function hasShapes(graph: Graph, node: Node): boolean {
  return [...node.inputs, ...node.outputs].every(
    (index) => index < 0 || graph.tensors[index]?.shape !== null,
  );
}
