/**
 * This file is MAFAT's own search space and order, on our predictor.
 *
 * 1. There are at most two groups, and a cut comes only after a pool. Networks that shrink their maps by strided
 *    convolutions instead of pools are cut after these.
 * 2. The first group has square grids from 1x1 to 5x5, and the second has 2x2.
 * 3. The least tiled plan comes first. Each grid comes without a cut, then with cuts from the last pool to the first.
 *
 * The search is greedy: it takes the first plan that fits, which isn't always the fastest one.
 * Source: Farley and Gerstlauer, MAFAT, section IV (Algorithm 2).
 */

import type { Graph, Node } from '../graph/index.js';
import { intsAttribute } from '../graph/index.js';
import { tilesOf } from '../tile/index.js';
import type { PlanNotation } from './notation.js';

const LARGEST_GRID = 5;
const SECOND_GROUP = tilesOf(2, 2);

/** Gives MAFAT's candidates in its order. */
export function* mafatCandidates(graph: Graph): Generator<PlanNotation> {
  const cuts = cutsAfterPools(graph);
  for (let size = 1; size <= LARGEST_GRID; size += 1) {
    const grid = tilesOf(size, size);
    yield { modes: [grid], cuts: [] };
    for (const cut of cuts) yield { modes: [grid, SECOND_GROUP], cuts: [cut] };
  }
}

/** Returns the first layers after a pool, from the last to the first. */
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
