/**
 * This file lists the positions of nodes between which the search cuts.
 *
 * 1. A cut may stand where a layer begins, and at both ends of the graph.
 * 2. None stands after a shape that depends on the image.
 * 3. A cut before elementwise operators is left out, if no more bytes cross a cut after them.
 * 4. A cut is left out that far more bytes cross than cross near it on either side. Such cuts lie in the middle of an
 *    inverted residual.
 * 5. While the ranges between cuts are too many, the cut that is missed least is left out.
 *
 * Not guaranteed: that a cut which is left out wouldn't give a better plan.
 */
import type { Graph, Node } from '../graph/index.js';
import { elementAt, localityOf, varyingFrom } from '../graph/index.js';
import { rangeMapsOf, runsInPlace } from '../predict/index.js';
import type { Knobs } from './knobs.js';

/** Cuts on either side that a cut is compared with. An inverted residual has two inner cuts. */
const NEAR = 2;

/** Returns the cuts of a graph, both ends included. */
export function searchCuts(graph: Graph, { peakRatio, ...bounds }: Knobs): readonly number[] {
  const { nodes } = graph;
  const maps = rangeMapsOf(graph);
  const bytesAt = (cut: number) => maps.left(0, cut);
  const all = nodes.flatMap((node, at) =>
    at > 0 && at <= varyingFrom(graph) && elementAt(nodes, at - 1).layer !== node.layer ? [at] : [],
  );
  const apart = all.filter((at) => !partsElementwise(graph, at, bytesAt));
  const cuts = [0, ...withoutPeaks(apart, { peakRatio, bytesAt }), nodes.length];
  return withoutCrowds(graph, { cuts, bytesAt }, bounds);
}

/** Gives the bytes of the maps that cross a cut. */
type BytesAt = (cut: number) => number;

/** Whether the same cut after some elementwise operators would be crossed by no more bytes. */
function partsElementwise(graph: Graph, at: number, bytesAt: BytesAt): boolean {
  const isElementwise = (node: Node) => runsInPlace(node) && localityOf(graph, node).kind === 'local';
  for (
    let end = at + 1;
    isElementwise(elementAt(graph.nodes, end - 1)) && end < graph.nodes.length;
    end += 1
  ) {
    if (bytesAt(end) <= bytesAt(at)) return true;
  }
  return false;
}

/** Leaves out the cuts that far more bytes cross than cross near them. */
function withoutPeaks(
  cuts: readonly number[],
  { peakRatio, bytesAt }: { readonly peakRatio: number; readonly bytesAt: BytesAt },
): readonly number[] {
  return cuts.filter((cut, at) => {
    const least = (near: readonly number[]) => Math.min(...near.map(bytesAt));
    const before = least(cuts.slice(Math.max(0, at - NEAR), at));
    const after = least(cuts.slice(at + 1, at + 1 + NEAR));
    return bytesAt(cut) <= peakRatio * before || bytesAt(cut) <= peakRatio * after;
  });
}

/** Leaves out cuts until all ranges together have few enough nodes. Both ends stay. */
function withoutCrowds(
  graph: Graph,
  { cuts, bytesAt }: { readonly cuts: readonly number[]; readonly bytesAt: BytesAt },
  { rangeNodes, maxNodes }: Pick<Knobs, 'rangeNodes' | 'maxNodes'>,
): readonly number[] {
  const barriers = countBarriers(graph);
  const kept = [...cuts];
  let nodes = sumOf(kept.map((_, at) => rangeNodesAt(kept, at, { barriers, maxNodes }))) / 2;
  while (nodes > rangeNodes && kept.length > 2) {
    const missed = leastMissed(kept, bytesAt, barriers);
    nodes -= rangeNodesAt(kept, missed, { barriers, maxNodes });
    kept.splice(missed, 1);
  }
  return kept;
}

/** Barriers before each cut. */
type BarrierCounts = readonly number[];

function countBarriers(graph: Graph): BarrierCounts {
  const counts = [0];
  for (const [at, node] of graph.nodes.entries())
    counts.push(elementAt(counts, at) + (localityOf(graph, node).kind === 'barrier' ? 1 : 0));
  return counts;
}

/** A range that is only run whole has one option, where others have about so many. */
const OPTIONS = 120;

/** Nodes of the ranges that begin or end at one of the cuts. Those of ranges that are only run whole count less. */
function rangeNodesAt(
  cuts: readonly number[],
  at: number,
  { barriers, maxNodes }: { readonly barriers: BarrierCounts; readonly maxNodes: number },
): number {
  const here = elementAt(cuts, at);
  let sum = 0;
  for (const cut of cuts) {
    const nodes = Math.abs(cut - here);
    const isLocal = nodes <= maxNodes && elementAt(barriers, cut) === elementAt(barriers, here);
    sum += isLocal ? nodes : nodes / OPTIONS;
  }
  return sum;
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** How much more a cut beside a barrier is missed: what lies before the barrier can't be streamed or tiled without it. */
const BESIDE_BARRIER = 8;

/** Place of the cut that is missed least: few bytes cross near it, fewer at a neighbour, and its neighbours are near. */
function leastMissed(cuts: readonly number[], bytesAt: BytesAt, barriers: BarrierCounts): number {
  let least = { at: 1, loss: Number.POSITIVE_INFINITY };
  for (let at = 1; at < cuts.length - 1; at += 1) {
    const [before, cut, after] = [elementAt(cuts, at - 1), elementAt(cuts, at), elementAt(cuts, at + 1)];
    // Both ends stay, whatever crosses them.
    const others = [...(at > 1 ? [before] : []), ...(at < cuts.length - 2 ? [after] : [])];
    const ratio = bytesAt(cut) / Math.min(...others.map(bytesAt));
    const isBeside = elementAt(barriers, cut - 1) !== elementAt(barriers, cut + 1);
    const loss = (((after - before) * bytesAt(cut)) / ratio) * (isBeside ? BESIDE_BARRIER : 1);
    if (loss < least.loss) least = { at, loss };
  }
  return least.at;
}
