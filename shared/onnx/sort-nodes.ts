/** Puts nodes into topological order. */
import type { Node } from '../graph/index.js';
import { elementAt, tensorsRead, tensorsWritten } from '../graph/index.js';

/**
 * Sorts by Kahn's algorithm. Of the nodes that are ready it takes the one that was first in `nodes`. Nodes that
 * are in topological order are returned unchanged.
 *
 * @throws {SyntaxError} naming a node of a cycle.
 */
export function sortNodes(nodes: readonly Node[], tensorCount: number): readonly Node[] {
  if (isSorted(nodes, tensorCount)) return nodes;
  const computed = new Set(nodes.flatMap(tensorsWritten));
  const reads = nodes.map((node) => [...new Set(tensorsRead(node))].filter((index) => computed.has(index)));
  const consumers: number[][] = Array.from({ length: tensorCount }, () => []);
  for (const [at, indices] of reads.entries()) {
    for (const index of indices) elementAt(consumers, index).push(at);
  }
  return drain(nodes, { pendingReads: reads.map(({ length }) => length), consumers });
}

function isSorted(nodes: readonly Node[], tensorCount: number): boolean {
  const writtenAt = new Int32Array(tensorCount).fill(-1);
  for (const [at, node] of nodes.entries()) {
    for (const index of tensorsWritten(node)) writtenAt[index] = at;
  }
  return nodes.every((node, at) => tensorsRead(node).every((index) => elementAt(writtenAt, index) < at));
}

interface Pending {
  /** Number of tensors that each node reads and that aren't computed yet. */
  readonly pendingReads: number[];
  /** Positions of the nodes that read each tensor. */
  readonly consumers: readonly (readonly number[])[];
}

function drain(nodes: readonly Node[], { pendingReads, consumers }: Pending): readonly Node[] {
  const ready = pendingReads.flatMap((count, at) => (count === 0 ? [at] : []));
  const takeFirst = () => ready.sort((a, b) => a - b).shift();
  const sorted: Node[] = [];
  for (let next = takeFirst(); next !== undefined; next = takeFirst()) {
    const node = elementAt(nodes, next);
    sorted.push(node);
    for (const consumer of tensorsWritten(node).flatMap((index) => elementAt(consumers, index))) {
      const left = elementAt(pendingReads, consumer) - 1;
      pendingReads[consumer] = left;
      if (left === 0) ready.push(consumer);
    }
  }
  const stuck = pendingReads.findIndex((count) => count > 0);
  if (stuck >= 0) {
    throw new SyntaxError(
      `Cannot sort graph: node "${elementAt(nodes, stuck).name}" depends on its own output`,
    );
  }
  return sorted;
}
