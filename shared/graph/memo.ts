import type { Graph } from './graph.js';

/** A fact about a graph, worked out once: graphs are immutable, and planning asks for the same facts again and again. */
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
