/** Remembers facts about graphs. Graphs are immutable, and planning asks for the same facts many times. */
import type { Graph, Node } from './graph.js';

/** A function of a graph that computes each graph's value once. */
export function memoByGraph<T>(compute: (graph: Graph) => T): (graph: Graph) => T {
  const known = new WeakMap<Graph, T>();
  return (graph) => {
    const before = known.get(graph);
    if (before !== undefined) return before;
    const value = compute(graph);
    known.set(graph, value);
    return value;
  };
}

/** A function of a node that computes each node's value once per graph. */
export function memoByNode<T>(compute: (graph: Graph, node: Node) => T): (graph: Graph, node: Node) => T {
  const known = memoByGraph(() => new WeakMap<Node, { readonly value: T }>());
  return (graph, node) => {
    const before = known(graph).get(node);
    if (before !== undefined) return before.value;
    const value = compute(graph, node);
    known(graph).set(node, { value });
    return value;
  };
}
