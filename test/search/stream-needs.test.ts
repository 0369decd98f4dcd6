/** This file compares the search's quick account of streams with the predictor's, range by range. */
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
  stepBytes,
} from '../../shared/predict/index.js';
import { linkRun } from '../../shared/predict/session-run.js';
import { KernelCosts } from '../../shared/search/kernel-costs.js';
import { StepCosts } from '../../shared/search/step-costs.js';
import { StreamNeeds } from '../../shared/search/stream-needs.js';
import type { StreamLink } from '../../shared/tile/index.js';
import { flowOf, PHASES, streamBy } from '../../shared/tile/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

const SETTINGS = { threads: 2, level: 'extended' } as const;
const COST = costsFor(BUILT_IN_PROFILE, SETTINGS);
const UNITS = [1, 2, 3, 8];

test('StreamNeeds gives what the predictor gives, on random graphs', () => {
  const property = fc.property(randomGraph({ maxSize: 96, maxWords: 12 }), ({ notation }) => {
    assertAlike(graphOf(notation));
  });
  fc.assert(property, { numRuns: 200 });
});

test('StreamNeeds gives what the predictor gives where branches wait and gates have no space', () => {
  assertAlike(graphOf('3x96x96: c16k3p1 l m2s2 c16k5p2 +3 c32k3s2p1 u2 &3 c8k3p1'));
  assertAlike(graphOf('3x96x80: c16k3p1 l c16k3p1 e c16k3p1 r m2s2 c8k1 t'));
});

function assertAlike(graph: Graph): void {
  const needs = new StreamNeeds(
    graph,
    new StepCosts(new KernelCosts(graph, { settings: SETTINGS, cost: COST }), COST),
  );
  for (let from = 0; from < graph.nodes.length; from += 1) {
    for (let to = from + 1; to <= graph.nodes.length; to += 1) assertRange(graph, needs, { from, to });
  }
}

function assertRange(graph: Graph, needs: StreamNeeds, range: NodeRange): void {
  const flow = flowOf(graph, range);
  if (flow === undefined) return;
  needs.begin(flow);
  for (const units of UNITS) {
    const link = streamBy(flow, units);
    const need = needs.of(units);
    assert.equal(need === undefined, link === undefined);
    if (link === undefined || need === undefined) continue;
    const session = linkRun(graph, link);
    const where = `[${range.from}, ${range.to}) by ${units}`;
    assert.equal(need.heldBytes, heldBytes(graph, 'stream', session), where);
    const peaks = predictStepPeaks(graph, session, SETTINGS);
    assert.equal(need.stepBytes, stepBytes(peaks), where);
    const latencyMs = latencyOf(countWork(graph, session, peaks), COST);
    assert.ok(Math.abs(need.latencyMs - latencyMs) <= 1e-9 * latencyMs, where);
    for (const tensor of flow.space.scales.keys()) {
      assert.equal(needs.mostRows(tensor), mostRows(link, tensor), where);
    }
  }
}

function mostRows({ stream }: StreamLink, tensor: number): number {
  const phases = PHASES.filter((phase) => phase !== 'middle' || stream.middleSteps > 0);
  return Math.max(...phases.map((phase) => stream.rows[phase].get(tensor) ?? 0));
}
