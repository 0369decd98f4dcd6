/**
 * Positions of nodes between which the search cuts: where a layer begins, and the end.
 *
 * Left out are cuts between a convolution and the activation that is computed with it, which save nothing and cost a
 * kernel call; and in large graphs those that full maps cross of more than twice the bytes that cross within NEAR cuts
 * before and behind, such as in the middle of an inverted residual.
 */
import type { Graph } from '../graph/index.js';
import { isActivation } from '../predict/index.js';
import type { RangeMaps } from './range-maps.js';

/** Nodes from which on a graph is large. */
export const LARGE_GRAPH = 80;

const NEAR = 2;

export function searchCuts(graph: Graph, maps: RangeMaps): readonly number[] {
  const { nodes } = graph;
  const all = nodes.flatMap((node, at) => (at > 0 && nodes[at - 1]?.layer !== node.layer ? [at] : []));
  const apart = all.filter((at) => !partsActivation(graph, maps, at));
  const chosen = nodes.length < LARGE_GRAPH ? apart : withoutPeaks(apart, maps.from(0).outputBytes);
  return [0, ...chosen, nodes.length];
}

function partsActivation({ nodes }: Graph, { lastRead }: RangeMaps, at: number): boolean {
  const [before, node] = [nodes[at - 1], nodes[at]];
  const map = before?.outputs[0] ?? -1;
  if (node === undefined || before?.op !== 'Conv' || !isActivation(node)) return false;
  return node.inputs[0] === map && lastRead[map] === at;
}

function withoutPeaks(cuts: readonly number[], crossing: Float64Array): readonly number[] {
  const bytesAt = (cut: number) => crossing[cut] ?? 0;
  return cuts.filter((cut, at) => {
    const least = (near: readonly number[]) => Math.min(...near.map(bytesAt));
    const before = least(cuts.slice(Math.max(0, at - NEAR), at));
    const behind = least(cuts.slice(at + 1, at + 1 + NEAR));
    return bytesAt(cut) <= 2 * before || bytesAt(cut) <= 2 * behind;
  });
}
