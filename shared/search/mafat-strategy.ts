/**
 * MAFAT's own search space and order, on our predictor.
 *
 * At most two groups; a cut only after a pool; square grids from 1x1 to 5x5 for the first group and 2x2 for
 * the second; least tiled first, and for each grid no cut, then cuts from the last pool to the first.
 * Networks that shrink their maps by strided convolutions, not pools, are cut after these.
 * Greedy: the first plan that fits is taken, which is not always the fastest one.
 * Source: Farley and Gerstlauer, MAFAT, section IV (Algorithm 2).
 */

import type { Graph, Node } from '../graph/index.js';
import { intsAttribute } from '../graph/index.js';
import { tilesOf } from '../tile/index.js';
import type { PlanNotation } from './notation.js';

const LARGEST_GRID = 5;
const SECOND_GROUP = tilesOf(2, 2);

export function* mafatCandidates(graph: Graph): Generator<PlanNotation> {
  const cuts = cutsAfterPools(graph);
  for (let size = 1; size <= LARGEST_GRID; size += 1) {
    const grid = tilesOf(size, size);
    yield { modes: [grid], cuts: [] };
    for (const cut of cuts) yield { modes: [grid, SECOND_GROUP], cuts: [cut] };
  }
}

/** First layers after a pool, last first. */
function cutsAfterPools(graph: Graph): readonly number[] {
  const pools = layersOf(graph, (node) => node.op === 'MaxPool' || node.op === 'AveragePool');
  const strided = layersOf(graph, (node) =>
    (intsAttribute(node, 'strides') ?? []).some((stride) => stride > 1),
  );
  const shrinking = pools.filter((layer) => strided.includes(layer));
  const chosen = shrinking.length > 0 ? shrinking : strided;
  const layers = [...new Set(graph.nodes.map(({ layer }) => layer))];
  const next = (layer: number) => layers.find((candidate) => candidate > layer);
  return chosen
    .map(next)
    .filter((layer) => layer !== undefined)
    .reverse();
}

function layersOf(graph: Graph, matches: (node: Node) => boolean): readonly number[] {
  return [...new Set(graph.nodes.filter(matches).map(({ layer }) => layer))];
}
