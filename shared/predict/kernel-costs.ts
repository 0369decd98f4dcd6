/**
 * Kernel costs are the costs of one node, by the rows and columns of the map whose pixels it multiplies. That is its output,
 * or the input of a transposed convolution. They are kept, since the search asks
 * for the same sizes again and again.
 */

import type { Graph, Node } from '../graph/index.js';
import { elementAt, knownShape, tensorAt } from '../graph/index.js';
import { wholeShapes } from '../tile/index.js';
import { convScratchBytes } from './conv-scratch.js';
import type { WorkAmounts } from './device-profile.js';
import { nanosecondsOf } from './device-profile.js';
import { countKernelWork } from './kernel-work.js';
import { countMacs } from './macs.js';
import { isActivation, runsInPlace } from './operators.js';
import { paddingRatio } from './padding.js';
import type { KernelSettings } from './run-settings.js';

/** Costs of one call of a node that multiplies. */
export interface KernelCost {
  readonly ns: number;
  readonly macs: number;
  readonly scratchBytes: number;
}

/** A node as the predictor sees it. */
export interface Kernel {
  readonly node: Node;
  /** Tensor of each input that is computed or given. It is -1 for constants and absent inputs. */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  /** Whether the node multiplies. Else it costs the bytes that it moves. */
  readonly multiplies: boolean;
  readonly isConv: boolean;
  /** Whether it multiplies the pixels of its input instead of those of its output. */
  readonly isTransposed: boolean;
  readonly isActivation: boolean;
  readonly runsInPlace: boolean;
}

/** Number of columns that no map has, for keys of rows and columns. */
const MAX_COLS = 2 ** 20;

/** The costs of all nodes of a graph, as far as they were asked for. */
export class KernelCosts {
  readonly kernels: readonly Kernel[];
  /** Ratio of each tensor's bytes while it is computed to its own bytes. */
  readonly padding: readonly number[];
  readonly #graph: Graph;
  readonly #settings: KernelSettings;
  readonly #cost: WorkAmounts;
  /** Costs by node, then by rows and columns. */
  readonly #known: readonly Map<number, KernelCost>[];

  constructor(
    graph: Graph,
    { settings, cost }: { readonly settings: KernelSettings; readonly cost: WorkAmounts },
  ) {
    this.#graph = graph;
    this.#settings = settings;
    this.#cost = cost;
    this.#known = graph.nodes.map(() => new Map());
    this.padding = graph.tensors.map((_, tensor) => paddingRatio(graph, tensor, settings.level));
    this.kernels = graph.nodes.map((node) => kernelOf(graph, node));
  }

  /** Returns the costs of a node that multiplies, by rows and columns of the map whose pixels it multiplies. */
  of(at: number, rows: number, cols: number): KernelCost {
    const ofNode = elementAt(this.#known, at);
    const key = rows * MAX_COLS + cols;
    const known = ofNode.get(key) ?? this.#compute(at, rows, cols);
    ofNode.set(key, known);
    return known;
  }

  #compute(at: number, rows: number, cols: number): KernelCost {
    const graph = this.#graph;
    const { node, isTransposed } = elementAt(this.kernels, at);
    const map = elementAt(isTransposed ? node.inputs : node.outputs, 0);
    const shapeOf = (tensor: number) => {
      const shape = knownShape(tensorAt(graph, tensor));
      return tensor === map && shape.length === 4 ? [...shape.slice(0, 2), rows, cols] : shape;
    };
    return {
      ns: nanosecondsOf(countKernelWork(graph, node, shapeOf), this.#cost),
      macs: countMacs(graph, node, shapeOf),
      scratchBytes: convScratchBytes(graph, node, { ...this.#settings, shapeOf }),
    };
  }
}

function kernelOf(graph: Graph, node: Node): Kernel {
  const isRead = (index: number) => index >= 0 && tensorAt(graph, index).constant === null;
  return {
    node,
    reads: [...node.inputs, ...node.captures].map((index) => (isRead(index) ? index : -1)),
    writes: node.outputs.filter((index) => index >= 0),
    multiplies: hasShapes(graph, node) && countMacs(graph, node, wholeShapes(graph)) > 0,
    isConv: node.op === 'Conv',
    isTransposed: node.op === 'ConvTranspose',
    isActivation: isActivation(node),
    runsInPlace: runsInPlace(node),
  };
}

function hasShapes(graph: Graph, node: Node): boolean {
  return [...node.inputs, ...node.outputs].every(
    (index) => index < 0 || tensorAt(graph, index).shape !== null,
  );
}
