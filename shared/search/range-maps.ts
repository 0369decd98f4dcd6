/** Bytes around each range of nodes: maps that it reads, leaves behind, and weights; for all ends of a start at once. */

import type { Graph } from '../graph/index.js';
import { tensorAt, tensorBytes, tensorsRead, tensorsWritten } from '../graph/index.js';

/** By the end of the range, from 0 to the number of nodes. */
export interface MapsFrom {
  /** Maps from outside, and those of them that are inputs of the graph. */
  readonly inputBytes: Float64Array;
  readonly imageBytes: Float64Array;
  /** Maps that are read behind the range. */
  readonly outputBytes: Float64Array;
  readonly weightsBytes: Float64Array;
}

export class RangeMaps {
  /** Position of the node that makes each tensor, -1 if none does; and of its last reader, beyond all for outputs. */
  readonly maker: Float64Array;
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
    for (let at = start; at < nodes.length; at += 1) {
      for (const bytes of [maps.inputBytes, maps.imageBytes, maps.outputBytes, maps.weightsBytes]) {
        bytes[at + 1] = bytes[at] ?? 0;
      }
      this.#addNode(maps, { start, at, seen });
    }
    return maps;
  }

  #addNode(
    maps: MapsFrom,
    { start, at, seen }: { readonly start: number; readonly at: number; readonly seen: Set<number> },
  ): void {
    const node = this.#graph.nodes[at];
    if (node === undefined) return;
    for (const tensor of tensorsWritten(node)) {
      if ((this.lastRead[tensor] ?? -1) > at) addTo(maps.outputBytes, at + 1, this.#bytesOf(tensor));
    }
    for (const tensor of new Set(tensorsRead(node))) {
      const isOurs = (this.maker[tensor] ?? -1) >= start;
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
  bytes[at] = (bytes[at] ?? 0) + more;
}
