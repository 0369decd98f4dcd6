import type { Node } from '../graph/index.js';
import { tensorsRead, tensorsWritten } from '../graph/index.js';

/**
 * Topological order by Kahn's algorithm that takes, of the nodes that are ready, the one that stands first:
 * an order that is already topological is returned unchanged.
 *
 * @throws {SyntaxError} naming a node of a cycle.
 */
export function sortNodes(nodes: readonly Node[], tensorCount: number): readonly Node[] {
  if (isSorted(nodes, tensorCount)) return nodes;
  const pendingReads = nodes.map(() => 0);
  const consumers: number[][] = Array.from({ length: tensorCount }, () => []);
  const computed = new Set(nodes.flatMap(tensorsWritten));
  for (const [at, node] of nodes.entries()) {
    for (const index of new Set(tensorsRead(node))) {
      if (!computed.has(index)) continue;
      pendingReads[at] = (pendingReads[at] ?? 0) + 1;
      consumers[index]?.push(at);
    }
  }
  return drain(nodes, { pendingReads, consumers });
}

function isSorted(nodes: readonly Node[], tensorCount: number): boolean {
  const writtenAt = new Int32Array(tensorCount).fill(-1);
  for (const [at, node] of nodes.entries()) {
    for (const index of tensorsWritten(node)) writtenAt[index] = at;
  }
  return nodes.every((node, at) => tensorsRead(node).every((index) => (writtenAt[index] ?? -1) < at));
}

interface Pending {
  readonly pendingReads: number[];
  readonly consumers: readonly (readonly number[])[];
}

function drain(nodes: readonly Node[], { pendingReads, consumers }: Pending): readonly Node[] {
  const ready = pendingReads.flatMap((count, at) => (count === 0 ? [at] : []));
  const sorted: Node[] = [];
  while (ready.length > 0) {
    ready.sort((a, b) => a - b);
    const node = nodes[ready.shift() ?? -1];
    if (node === undefined) break;
    sorted.push(node);
    for (const consumer of tensorsWritten(node).flatMap((index) => consumers[index] ?? [])) {
      const left = (pendingReads[consumer] ?? 0) - 1;
      pendingReads[consumer] = left;
      if (left === 0) ready.push(consumer);
    }
  }
  const stuck = pendingReads.findIndex((count) => count > 0);
  if (stuck >= 0) {
    throw new SyntaxError(`Cannot sort graph: node "${nodes[stuck]?.name}" depends on its own output`);
  }
  return sorted;
}
