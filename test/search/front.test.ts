import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RunSettings } from '../../shared/predict/index.js';
import type { Front, WeightsPolicy } from '../../shared/search/index.js';
import {
  budgetedBytes,
  buildPlan,
  parsePlan,
  pickFromFront,
  searchFront,
} from '../../shared/search/index.js';
import type { Knobs } from '../../shared/search/knobs.js';
import { KNOBS } from '../../shared/search/knobs.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

const VARIANTS: readonly RunSettings[] = [
  { level: 'all', allocator: 'jemalloc', threads: 2 },
  { level: 'extended', allocator: 'jemalloc', threads: 1 },
];
const POOLS = '3x256x256: c16k3p1 l m2s2 c32k3p1 l m2s2 c32k3p1 l c16k1 l c32k3p1';
const UNET = '3x128x128: c16k3p1 l c32k3s2p1 l c64k3s2p1 l v2 c32k3p1 l &4 c32k3p1 l v2 c16k3p1 l &2 c8k3p1';

const weightsPolicy = fc.constantFrom<WeightsPolicy>('resident', 'evictable');

test('searchFront() goes from the smallest plan to the untiled run in many steps', () => {
  const { points, complete } = searchFront(graphOf(POOLS), { variants: VARIANTS, weights: 'resident' });
  assert.ok(complete && points.length > 8, `${points.length} points`);
  assert.equal(points.at(-1)?.plan.notation, 'whole');
});

test('searchFront() rises in memory and falls in latency, and its plans can be built, on random graphs', () => {
  const property = fc.property(
    randomGraph({ maxSize: 64, maxWords: 10 }),
    weightsPolicy,
    fc.subarray([...VARIANTS], { minLength: 1 }),
    ({ notation }, weights, variants) => {
      const graph = graphOf(notation);
      const front = searchFront(graph, { variants, weights });
      assert.ok(front.complete && front.points.length > 0);
      assertRising(front);
      for (const { plan, needBytes } of front.points) {
        assert.equal(needBytes, budgetedBytes(plan.predicted, weights));
        assert.ok(variants.some((settings) => settings.threads === plan.settings.threads));
        const built = buildPlan(graph, parsePlan(plan.notation), plan.settings);
        assert.deepEqual(built.predicted, plan.predicted);
      }
    },
  );
  fc.assert(property, { numRuns: 40 });
});

test('searchFront() has no plan that a front of one variant beats', () => {
  const property = fc.property(
    randomGraph({ maxSize: 64, maxWords: 8 }),
    weightsPolicy,
    (random, weights) => {
      const graph = graphOf(random.notation);
      const { points } = searchFront(graph, { variants: VARIANTS, weights });
      for (const settings of VARIANTS) {
        for (const { needBytes, plan } of searchFront(graph, { variants: [settings], weights }).points) {
          const best = pickFromFront(points, needBytes);
          assert.ok(best !== undefined && latencyOf(best) <= plan.predicted.latencyMs * (1 + WORTH));
        }
      }
    },
  );
  fc.assert(property, { numRuns: 15 });
});

test('searchFront() begins with tiles where streams end at an interpolation', () => {
  const graph = graphOf(UNET);
  const [smallest] = searchFront(graph, { variants: VARIANTS, weights: 'evictable' }).points;
  const needOf = (notation: string) =>
    Math.min(
      ...VARIANTS.map((settings) => buildPlan(graph, parsePlan(notation), settings).predicted.workingBytes),
    );
  assert.ok(smallest !== undefined);
  for (const grid of ['2x2', '3x3', '5x5']) assert.ok(smallest.needBytes <= needOf(grid), grid);
});

test('searchFront() keeps its limit of work whatever the graph, and has plans whatever the limit', () => {
  const works = fc.integer({ min: 0, max: 10_000 });
  const property = fc.property(
    randomGraph({ maxSize: 96, maxWords: 40 }),
    works,
    ({ notation }, workPerNode) => {
      const knobs = { ...KNOBS, workPerNode };
      const front = searchFront(graphOf(notation), { variants: VARIANTS, weights: 'resident', knobs });
      assertRising(front);
      assert.equal(front.points.at(-1)?.plan.notation.includes('whole'), true);
    },
  );
  fc.assert(property, { numRuns: 30 });
});

test('searchFront() with little work is no better than with more, and says so', () => {
  const graph = graphOf(POOLS);
  const search = (knobs: Knobs) => searchFront(graph, { variants: VARIANTS, weights: 'resident', knobs });
  const [none, all] = [search({ ...KNOBS, workPerNode: 0 }), search(KNOBS)];
  assert.deepEqual([none.complete, all.complete], [false, true]);
  for (const { needBytes, plan } of none.points) {
    const best = pickFromFront(all.points, needBytes * 1.01);
    assert.ok(best !== undefined && latencyOf(best) <= plan.predicted.latencyMs * NEAR);
  }
});

test('searchFront() reports its progress from the beginning to the end', () => {
  const seen: number[] = [];
  const onProgress = (done: number, total: number) => seen.push(done / total);
  searchFront(graphOf(POOLS), { variants: VARIANTS, weights: 'resident', onProgress });
  assert.equal(seen.at(-1), 1);
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
});

test('pickFromFront() takes the fastest plan that fits', () => {
  const { points } = searchFront(graphOf(POOLS), { variants: VARIANTS, weights: 'evictable' });
  for (const [at, point] of points.entries()) {
    assert.equal(pickFromFront(points, point.needBytes), point);
    assert.equal(pickFromFront(points, point.needBytes - 1), points[at - 1]);
  }
  assert.equal(pickFromFront(points, Number.POSITIVE_INFINITY), points.at(-1));
});

/** Factor within which the search treats latencies as equal, with some room. */
const NEAR = 1.03;

/** Part that a front of one variant may be faster. Slower plans were dropped for smaller ones up to three times. */
const WORTH = 3 * KNOBS.worth;

function latencyOf({ plan }: Front['points'][number]): number {
  return plan.predicted.latencyMs;
}

function assertRising({ points }: Front): void {
  for (const [at, point] of points.entries()) {
    const next = points[at + 1];
    if (next === undefined) continue;
    assert.ok(point.needBytes < next.needBytes);
    assert.ok(latencyOf(point) > latencyOf(next));
  }
}
