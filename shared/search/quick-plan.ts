/**
 * This file plans without a search, for a start at which memory is too short to search.
 *
 * 1. Find the cuts at which the maps have become a half, a quarter and so on of the largest ones.
 * 2. List plans by rule: the graph whole, streams up to a cut, streams linked at cuts, and tiles of the whole graph.
 *
 * Not guaranteed: that a plan is found where one fits. The search knows thousands of plans, this file about twenty.
 */

import type { Graph } from '../graph/index.js';
import { elementAt } from '../graph/index.js';
import type { PredictSettings, RangeMaps } from '../predict/index.js';
import { rangeMapsOf } from '../predict/index.js';
import type { Mode } from '../tile/index.js';
import { tilesOf, WHOLE } from '../tile/index.js';
import { KNOBS } from './knobs.js';
import type { PlanNotation } from './notation.js';
import type { Plan } from './plan.js';
import { isLawful, layPlan } from './plan.js';
import { searchCuts } from './search-cuts.js';

/** Parts of the largest maps at which plans are cut. */
const PARTS = [1 / 2, 1 / 8, 1 / 32];

/** Total strides of a stream's step, for speed and for memory. */
const STREAM_ROWS = [4, 1];

/** Sides of the grids of tiles. */
const GRID_SIDES = [2, 3, 4, 5];

/** Returns a few plans of a graph, in no order. */
export function quickPlans(graph: Graph, settings: PredictSettings): readonly Plan[] {
  return quickNotations(graph)
    .map((notation) => layPlan(graph, notation, settings))
    .filter(isLawful);
}

/** Lists the plans that are built. */
export function quickNotations(graph: Graph): readonly PlanNotation[] {
  const maps = rangeMapsOf(graph);
  const all = searchCuts(graph, KNOBS);
  const cuts = shrinkingCuts(maps, all);
  const heads = cuts.map((_, at) => cuts.slice(0, at + 1));
  const streamed = STREAM_ROWS.flatMap((rows) => {
    const mode: Mode = { kind: 'stream', rows };
    return [
      linkedPlan(graph, { mode, links: [], tail: [] }),
      ...cuts.map((cut) => linkedPlan(graph, { mode, links: [], tail: [cut] })),
      ...heads.map((head) =>
        linkedPlan(graph, { mode, links: head.slice(0, -1), tail: partedTail(maps, all, head.at(-1) ?? 0) }),
      ),
      linkedPlan(graph, { mode, links: cuts, tail: [] }),
    ];
  });
  const tiled = GRID_SIDES.map((side) => ({ modes: [tilesOf(side, side)], cuts: [] }));
  return [{ modes: [WHOLE], cuts: [] }, ...streamed, ...tiled];
}

interface LinkedPlan {
  readonly mode: Mode;
  /** Cuts between linked streams. */
  readonly links: readonly number[];
  /** Cuts after which a range runs whole. */
  readonly tail: readonly number[];
}

function linkedPlan(graph: Graph, { mode, links, tail }: LinkedPlan): PlanNotation {
  const layers = (cuts: readonly number[]) => cuts.map((at) => elementAt(graph.nodes, at).layer);
  return {
    modes: [mode, ...links.map(() => mode), ...tail.map(() => WHOLE)],
    cuts: layers([...links, ...tail]),
    links: layers(links),
  };
}

/** Returns the first cuts after the largest maps that are crossed by no more than each part of them. */
function shrinkingCuts(maps: RangeMaps, all: readonly number[]): readonly number[] {
  const bytesAt = (cut: number) => maps.left(0, cut);
  const inner = all.slice(1, -1);
  const largest = inner.reduce((bytes, cut) => Math.max(bytes, bytesAt(cut)), 0);
  const after = inner.slice(inner.findLastIndex((cut) => bytesAt(cut) === largest));
  const found = PARTS.map((part) => after.find((cut) => bytesAt(cut) <= part * largest));
  return [...new Set(found.filter((cut) => cut !== undefined))];
}

/** Cuts the rest of a graph so that no range reads more weights than the largest range between two cuts must. */
function partedTail(maps: RangeMaps, all: readonly number[], start: number): readonly number[] {
  const most = all
    .slice(1)
    .reduce((bytes, to, at) => Math.max(bytes, maps.weights(elementAt(all, at), to)), 0);
  const tail = [start];
  for (const [at, cut] of all.entries()) {
    const end = all[at + 1];
    if (cut > start && end !== undefined && maps.weights(elementAt(tail, tail.length - 1), end) > most)
      tail.push(cut);
  }
  return tail;
}
