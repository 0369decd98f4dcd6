/**
 * This file counts the bytes around each range of nodes: the image and earlier maps that stand before it, maps that it
 * leaves to later nodes, and its weights. One walk counts them for all ends of a start.
 */

import type { Graph } from '../graph/index.js';
import {
  elementAt,
  elementCount,
  knownShape,
  lastReadsOf,
  memoByGraph,
  producers,
  tensorAt,
  tensorBytes,
  tensorsRead,
  tensorsWritten,
} from '../graph/index.js';

/** Bytes around all ranges of one start, by the end of the range, from 0 to the number of nodes. */
interface MapsFrom {
  /** Maps that are read after the range. */
  readonly leftBytes: Float64Array;
  /** Mapped weights that the range reads. */
  readonly weightsBytes: Float64Array;
}

/** The bytes around all ranges of a graph, as far as they were asked for. */
export class RangeMaps {
  /** Position of the node that makes each tensor. It is -1 if none does. */
  readonly maker: Int32Array;
  /** Position of the last reader of each tensor. It is -1 if there is none, and infinite for outputs of the graph. */
  readonly lastRead: Float64Array;
  /** Bytes of the image, which is kept as decoded: one byte an element. */
  readonly imageBytes: number;
  readonly #graph: Graph;
  readonly #known: (MapsFrom | undefined)[] = [];

  constructor(graph: Graph) {
    this.#graph = graph;
    this.maker = producers(graph);
    this.lastRead = lastReadsOf(graph);
    this.imageBytes = graph.inputs
      .map((index) => tensorAt(graph, index))
      .filter(({ constant }) => constant === null)
      .reduce((sum, tensor) => sum + elementCount(knownShape(tensor)), 0);
  }

  /** Returns the bytes of the maps that stand at a cut: the image, and earlier maps that are needed from here on. */
  standing(cut: number): number {
    return this.imageBytes + this.left(0, cut);
  }

  /** Returns the bytes of the maps that a range leaves to later nodes. The search asks at each label, so it is a cast. */
  left(from: number, to: number): number {
    return this.#from(from).leftBytes[to] as number;
  }

  /** Returns the bytes of the mapped weights that a range reads. */
  weights(from: number, to: number): number {
    return this.#from(from).weightsBytes[to] as number;
  }

  #from(start: number): MapsFrom {
    const known = this.#known[start] ?? this.#walk(start);
    this.#known[start] = known;
    return known;
  }

  #walk(start: number): MapsFrom {
    const { nodes } = this.#graph;
    const leftBytes = new Float64Array(nodes.length + 1);
    const weightsBytes = new Float64Array(nodes.length + 1);
    const seen = new Set<number>();
    let [left, weights] = [0, 0];
    for (let at = start; at < nodes.length; at += 1) {
      const node = elementAt(nodes, at);
      for (const made of tensorsWritten(node))
        if (elementAt(this.lastRead, made) > at) left += this.#bytesOf(made);
      for (const read of new Set(tensorsRead(node))) {
        if (elementAt(this.maker, read) >= start && this.lastRead[read] === at) left -= this.#bytesOf(read);
        const isNew = !seen.has(read) && tensorAt(this.#graph, read).constant?.kind === 'external';
        if (isNew) weights += this.#bytesOf(read);
        seen.add(read);
      }
      leftBytes[at + 1] = left;
      weightsBytes[at + 1] = weights;
    }
    return { leftBytes, weightsBytes };
  }

  #bytesOf(tensor: number): number {
    return tensorBytes(tensorAt(this.#graph, tensor));
  }
}

/** Returns the bytes around the ranges of a graph. */
export const rangeMapsOf = memoByGraph((graph) => new RangeMaps(graph));
