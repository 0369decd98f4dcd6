/**
 * This file counts the bytes around each range of nodes: maps that it reads, maps that it leaves to later nodes, and
 * weights. One walk counts them for all ends of a start.
 */

import type { Graph, Node } from '../graph/index.js';
import { elementAt, tensorAt, tensorBytes, tensorsRead, tensorsWritten } from '../graph/index.js';

/** Bytes around all ranges of one start, by the end of the range, from 0 to the number of nodes. */
export interface MapsFrom {
  /** Maps that come from outside of the range. */
  readonly inputBytes: Float64Array;
  /** Maps that come from outside of the range and are inputs of the graph. */
  readonly imageBytes: Float64Array;
  /** Maps that are read after the range. */
  readonly outputBytes: Float64Array;
  /** Weights that the range reads. */
  readonly weightsBytes: Float64Array;
}

/** The bytes around all ranges of a graph, as far as they were asked for. */
export class RangeMaps {
  /** Position of the node that makes each tensor. It is -1 if none does. */
  readonly maker: Float64Array;
  /** Position of the last reader of each tensor. It is -1 if there is none, and infinite for outputs of the graph. */
  readonly lastRead: Float64Array;
  readonly #graph: Graph;
  readonly #known: (MapsFrom | undefined)[];

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#known = graph.nodes.map(() => undefined);
    this.maker = new Float64Array(graph.tensors.length).fill(-1);
    this.lastRead = new Float64Array(graph.tensors.length).fill(-1);
    for (const [at, node] of graph.nodes.entries()) {
      for (const tensor of tensorsWritten(node)) this.maker[tensor] = at;
      for (const tensor of tensorsRead(node)) this.lastRead[tensor] = at;
    }
    for (const tensor of graph.outputs) this.lastRead[tensor] = Number.POSITIVE_INFINITY;
  }

  /** Returns the bytes around all ranges that start at a node. */
  from(start: number): MapsFrom {
    const known = this.#known[start] ?? this.#walk(start);
    this.#known[start] = known;
    return known;
  }

  #walk(start: number): MapsFrom {
    const { nodes } = this.#graph;
    const row = () => new Float64Array(nodes.length + 1);
    const maps = { inputBytes: row(), imageBytes: row(), outputBytes: row(), weightsBytes: row() };
    const seen = new Set<number>();
    for (const [offset, node] of nodes.slice(start).entries()) {
      const at = start + offset;
      for (const bytes of Object.values(maps)) bytes[at + 1] = elementAt(bytes, at);
      this.#addNode(maps, node, { start, at, seen });
    }
    return maps;
  }

  #addNode(
    maps: MapsFrom,
    node: Node,
    { start, at, seen }: { readonly start: number; readonly at: number; readonly seen: Set<number> },
  ): void {
    for (const tensor of tensorsWritten(node)) {
      if (elementAt(this.lastRead, tensor) > at) addTo(maps.outputBytes, at + 1, this.#bytesOf(tensor));
    }
    for (const tensor of new Set(tensorsRead(node))) {
      const isOurs = elementAt(this.maker, tensor) >= start;
      if (isOurs && this.lastRead[tensor] === at) addTo(maps.outputBytes, at + 1, -this.#bytesOf(tensor));
      if (isOurs || seen.has(tensor)) continue;
      seen.add(tensor);
      this.#addInput(maps, { tensor, end: at + 1 });
    }
  }

  #addInput(maps: MapsFrom, { tensor, end }: { readonly tensor: number; readonly end: number }): void {
    const { constant } = tensorAt(this.#graph, tensor);
    if (constant?.kind === 'external') addTo(maps.weightsBytes, end, this.#bytesOf(tensor));
    if (constant !== null) return;
    addTo(maps.inputBytes, end, this.#bytesOf(tensor));
    if (this.#graph.inputs.includes(tensor)) addTo(maps.imageBytes, end, this.#bytesOf(tensor));
  }

  #bytesOf(tensor: number): number {
    return tensorBytes(tensorAt(this.#graph, tensor));
  }
}

function addTo(bytes: Float64Array, at: number, more: number): void {
  bytes[at] = elementAt(bytes, at) + more;
}
