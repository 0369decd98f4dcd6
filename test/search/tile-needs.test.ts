/** This file compares the search's quick account of tiles with the predictor's, range by range. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph, NodeRange } from '../../shared/graph/index.js';
import {
  BUILT_IN_PROFILE,
  costsFor,
  countWork,
  heldBytes,
  latencyOf,
  predictStepPeaks,
  sessionsOf,
  stepBytes,
} from '../../shared/predict/index.js';
import { KernelCosts } from '../../shared/search/kernel-costs.js';
import { StepCosts } from '../../shared/search/step-costs.js';
import { TileNeeds } from '../../shared/search/tile-needs.js';
import { planRange, tilesOf } from '../../shared/tile/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

const SETTINGS = { threads: 2, level: 'extended' } as const;
const COST = costsFor(BUILT_IN_PROFILE, SETTINGS);
const GRIDS = [tilesOf(1, 2), tilesOf(2, 2), tilesOf(3, 1), tilesOf(3, 5)];

test('TileNeeds gives what the predictor gives, on random graphs', () => {
  const property = fc.property(randomGraph({ maxSize: 96, maxWords: 10 }), ({ notation }) => {
    assertAlike(graphOf(notation));
  });
  fc.assert(property, { numRuns: 100 });
});

function assertAlike(graph: Graph): void {
  const needs = new TileNeeds(
    graph,
    new StepCosts(new KernelCosts(graph, { settings: SETTINGS, cost: COST }), COST),
  );
  for (let from = 0; from < graph.nodes.length; from += 1) {
    for (let to = from + 1; to <= graph.nodes.length; to += 1) assertRange(graph, needs, { from, to });
  }
}

function assertRange(graph: Graph, needs: TileNeeds, range: NodeRange): void {
  for (const grid of GRIDS) {
    const [segment, ...others] = planRange(graph, range, grid);
    if (segment?.kind !== 'tiles' || others.length > 0) continue;
    const [session] = sessionsOf(graph, segment);
    if (session === undefined) continue;
    needs.begin(range, segment.space);
    const need = needs.of(segment.rowTiles, segment.colTiles);
    const where = `[${range.from}, ${range.to}) by ${segment.rowTiles.length}x${segment.colTiles.length}`;
    assert.equal(need.heldBytes, heldBytes(graph, 'tiles', session), where);
    const peaks = predictStepPeaks(graph, session, SETTINGS);
    assert.equal(need.stepBytes, stepBytes(peaks), where);
    const latencyMs = latencyOf(countWork(graph, session, peaks), COST);
    assert.ok(Math.abs(need.latencyMs - latencyMs) <= 1e-9 * latencyMs, where);
  }
}
