/** Small edits that the passes over a graph are made of. Each is pure and returns new values. */
import type { Graph, Node, Tensor } from './graph.js';
import { tensorAt, tensorsRead, tensorsWritten } from './graph.js';
import { elementAt, valueFor } from './lookup.js';

/** Number of reads of each tensor, by nodes and as a graph output. */
export function countReads(graph: Graph): Uint32Array {
  const reads = new Uint32Array(graph.tensors.length);
  for (const index of [...graph.nodes.flatMap(tensorsRead), ...graph.outputs]) {
    reads[index] = elementAt(reads, index) + 1;
  }
  return reads;
}

/** Position of the node that computes each tensor; -1 for inputs and constants. */
export function producers(graph: Graph): Int32Array {
  const positions = new Int32Array(graph.tensors.length).fill(-1);
  for (const [at, node] of graph.nodes.entries()) {
    for (const index of tensorsWritten(node)) positions[index] = at;
  }
  return positions;
}

/** Makes inputs that read a key read its value instead. Graph outputs and captures are left alone. */
export function redirectReads(
  nodes: readonly Node[],
  redirects: ReadonlyMap<number, number>,
): readonly Node[] {
  if (redirects.size === 0) return nodes;
  const follow = (index: number): number => {
    let end = index;
    for (let next = redirects.get(end); next !== undefined; next = redirects.get(end)) end = next;
    return end;
  };
  return nodes.map((node) => ({ ...node, inputs: node.inputs.map(follow) }));
}

/** Drops nodes that no output depends on and tensors that no node uses, then renumbers the rest. */
export function compactGraph(graph: Graph): Graph {
  const nodes = liveNodes(graph);
  const used = new Set([...graph.inputs, ...graph.outputs]);
  for (const node of nodes) {
    for (const index of [...tensorsRead(node), ...tensorsWritten(node)]) used.add(index);
  }
  const kept = [...used].sort((a, b) => a - b);
  const renumbered = new Map(kept.map((index, at) => [index, at]));
  const renumber = (index: number) => (index < 0 ? -1 : valueFor(renumbered, index));
  return {
    ...graph,
    tensors: kept.map((index) => tensorAt(graph, index)),
    nodes: nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(renumber),
      outputs: node.outputs.map(renumber),
      captures: node.captures.map(renumber),
    })),
    inputs: graph.inputs.map(renumber),
    outputs: graph.outputs.map(renumber),
  };
}

function liveNodes(graph: Graph): readonly Node[] {
  const needed = new Set(graph.outputs);
  const live: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!tensorsWritten(node).some((index) => needed.has(index))) continue;
    for (const index of tensorsRead(node)) needed.add(index);
    live.push(node);
  }
  return live.reverse();
}

/** Tensors of a graph, to which a pass appends more. A name that is taken gets a number. */
export class TensorList {
  readonly tensors: Tensor[];
  readonly #names: Set<string>;

  constructor(graph: Graph) {
    this.tensors = [...graph.tensors];
    this.#names = new Set(graph.tensors.map(({ name }) => name));
  }

  /** @returns the index of the appended tensor. */
  add(tensor: Tensor): number {
    let name = tensor.name;
    for (let at = 1; this.#names.has(name); at += 1) name = `${tensor.name}_${at}`;
    this.#names.add(name);
    return this.tensors.push({ ...tensor, name }) - 1;
  }
}
