import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RunSettings } from '../../shared/predict/index.js';
import { budgetedBytes, pickFromFront, searchFront } from '../../shared/search/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

const VARIANTS: readonly RunSettings[] = [
  { level: 'all', allocator: 'jemalloc', threads: 2 },
  { level: 'extended', allocator: 'jemalloc', threads: 1 },
];

test('searchFront() rises in memory and falls in latency, over all variants', () => {
  const property = fc.property(randomGraph({ maxSize: 64, maxWords: 8 }), ({ notation }) => {
    const { points, complete } = searchFront(graphOf(notation), { variants: VARIANTS, weights: 'resident' });
    assert.ok(complete && points.length > 0);
    for (const [at, { plan, needBytes }] of points.entries()) {
      assert.equal(needBytes, budgetedBytes(plan.predicted, 'resident'));
      const next = points[at + 1];
      if (next === undefined) continue;
      assert.ok(needBytes < next.needBytes);
      assert.ok(plan.predicted.latencyMs > next.plan.predicted.latencyMs);
    }
  });
  fc.assert(property, { numRuns: 20 });
});

test('pickFromFront() takes the fastest plan that fits', () => {
  const graph = graphOf('3x128x128: c16k3p1 l m2s2 c32k3p1 l m2s2 c32k3p1');
  const { points } = searchFront(graph, { variants: VARIANTS, weights: 'evictable' });
  for (const [at, point] of points.entries()) {
    assert.equal(pickFromFront(points, point.needBytes), point);
    assert.equal(pickFromFront(points, point.needBytes - 1), points[at - 1]);
  }
  assert.equal(pickFromFront(points, Number.POSITIVE_INFINITY), points.at(-1));
});

test('searchFront() reports its progress', () => {
  const seen: (readonly [number, number])[] = [];
  const onProgress = (done: number, total: number) => seen.push([done, total]);
  searchFront(graphOf('3x32x32: c4k3p1'), { variants: VARIANTS, weights: 'resident', onProgress });
  const last = seen.at(-1);
  assert.ok(last !== undefined && last[0] === last[1]);
});
