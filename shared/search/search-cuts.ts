/**
 * This file lists the positions of nodes between which the search cuts.
 *
 * 1. A cut may stand where a layer begins, and at both ends of the graph.
 * 2. None stands after a shape that depends on the image.
 * 3. A cut before elementwise operators is left out, if no more bytes cross a cut after them.
 * 4. A cut is left out that far more bytes cross than cross near it on either side. Such cuts lie in the middle of an
 *    inverted residual.
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
export function searchCuts(graph: Graph, { peakRatio }: Knobs): readonly number[] {
  const { nodes } = graph;
  const maps = rangeMapsOf(graph);
  const bytesAt = (cut: number) => maps.left(0, cut);
  const all = nodes.flatMap((node, at) =>
    at > 0 && at <= varyingFrom(graph) && elementAt(nodes, at - 1).layer !== node.layer ? [at] : [],
  );
  const apart = all.filter((at) => !partsElementwise(graph, at, bytesAt));
  return [0, ...withoutPeaks(apart, { peakRatio, bytesAt }), nodes.length];
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
