import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import { externalizeConstants } from '../../shared/graph/index.js';
import type { Plan } from '../../shared/search/index.js';
import { buildPlan, parsePlan, quickPlans } from '../../shared/search/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

const SETTINGS = { threads: 1, level: 'extended' } as const;
const POOLS = '3x512x512: c16k3p1 l m2s2 c32k3p1 l m2s2 c64k3p1 l m2s2 c128k3p1 l m2s2 c256k3p1 l c256k3p1 l';

test('quickPlans() run the graph whole where memory is no matter', () => {
  const plan = fastest(graphOf(POOLS));
  assert.equal(plan.notation, 'whole');
});

test('quickPlans() stream where memory is short, and run the small maps whole', () => {
  const { notation } = smallest(graphOf(POOLS));
  assert.match(notation, /^stream.* \| whole$/);
});

test('quickPlans() cut the rest so that the weights of one layer are mapped at a time', () => {
  const { graph } = externalizeConstants(
    graphOf('3x256x256: c8k3p1 m4s4 c16k3p1 m4s4 c512k3p1 c512k3p1 c512k3p1'),
    'w',
  );
  const { predicted } = smallest(graph);
  assert.equal(predicted.weightsBytes, 4 * 512 * 512 * 9);
});

test('quickPlans() tile a graph that grows back to its full size by interpolation', () => {
  const { notation } = smallest(graphOf('3x256x256: c16k3s2p1 c32k3s2p1 v2 c16k3p1 v2 c8k3p1'));
  assert.equal(notation, '5x5');
});

test('quickPlans() gives plans as they are built from their notations', () => {
  const property = fc.property(randomGraph({ maxSize: 96, maxWords: 12 }), ({ notation }) => {
    const graph = graphOf(notation);
    for (const { notation: text, predicted } of quickPlans(graph, SETTINGS))
      assert.deepEqual(buildPlan(graph, parsePlan(text), SETTINGS).predicted, predicted);
  });
  fc.assert(property, { numRuns: 60 });
});

function fastest(graph: Graph): Plan {
  return leastBy(quickPlans(graph, SETTINGS), ({ latencyMs }) => latencyMs);
}

function smallest(graph: Graph): Plan {
  return leastBy(quickPlans(graph, SETTINGS), ({ peakBytes }) => peakBytes);
}

function leastBy(plans: readonly Plan[], measure: (predicted: Plan['predicted']) => number): Plan {
  return plans.reduce((least, plan) => (measure(plan.predicted) < measure(least.predicted) ? plan : least));
}
