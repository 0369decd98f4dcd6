import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import type { WeightsPolicy } from '../../shared/search/index.js';
import {
  budgetedBytes,
  buildPlan,
  optimalCandidates,
  parsePlan,
  searchPlan,
} from '../../shared/search/index.js';
import { planFront } from '../../shared/search/plan-front.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

const SETTINGS = { threads: 1, level: 'extended' } as const;

/** Factor within which the search treats latencies as equal, with some room. */
const NEAR = 1.01;

test('planFront() goes from the smallest plan to the untiled run in many steps', () => {
  const graph = graphOf('3x256x256: c16k3p1 l m2s2 c32k3p1 l m2s2 c32k3p1 l c16k1 l c32k3p1');
  const front = planFront(graph, { ...SETTINGS, weights: 'resident' });
  assert.ok(front.length > 4 && front.length <= 24, `${front.length} points`);
  assert.equal(front.at(-1)?.plan.notation, 'whole');
  assertFront(graph, 'resident');
});

test('planFront() gives plans of which none beats another, and no search beats one, on random graphs', () => {
  const property = fc.property(
    randomGraph({ maxSize: 64, maxWords: 10 }),
    fc.constantFrom<WeightsPolicy>('resident', 'evictable'),
    ({ notation }, weights) => assertFront(graphOf(notation), weights),
  );
  fc.assert(property, { numRuns: 25 });
});

function assertFront(graph: Graph, weights: WeightsPolicy): void {
  const front = planFront(graph, { ...SETTINGS, weights });
  assert.ok(front.length > 0);
  for (const [at, { plan, needBytes }] of front.entries()) {
    const { latencyMs } = plan.predicted;
    assert.deepEqual(buildPlan(graph, parsePlan(plan.notation), SETTINGS).predicted, plan.predicted);
    assert.equal(budgetedBytes(plan.predicted, weights), needBytes);
    const before = front[at - 1];
    if (before !== undefined) {
      assert.ok(before.needBytes < needBytes && before.plan.predicted.latencyMs > latencyMs);
    }
    const found = searchPlan(graph, optimalCandidates, { ...SETTINGS, weights, budgetBytes: needBytes });
    assert.ok(found.predicted.latencyMs * NEAR >= latencyMs, `${plan.notation}: ${found.notation} is faster`);
  }
}
