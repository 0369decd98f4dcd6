import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildPlan, parsePlan } from '../../shared/search/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

const SETTINGS = { threads: 1, level: 'extended' } as const;

test('buildPlan() runs a barrier whole, and the layers around it tiled', () => {
  const graph = graphOf('3x32x32: c8k3p1 c8k3p1 e c8k3p1');
  assert.match(planOf(graph, '2x2').notation, /^2x2 \| 2 \| whole \| \d+ \| 2x2$/);
});

test('buildPlan() makes a grid coarser that is finer than the map allows', () => {
  assert.equal(planOf(graphOf('3x32x32: c4k3p1 m2s2 m2s2 m2s2'), '6x2').notation, '4x2');
});

test('buildPlan() refuses cuts outside the network or at the same place', () => {
  const graph = graphOf('3x32x32: c4k3p1 c4k3p1 c4k3p1');
  assert.throws(() => planOf(graph, 'whole | 9 | whole'), /Cannot cut at layer 9: expected 1 to 2/);
  const gaps = { ...graph, nodes: graph.nodes.map((node, at) => ({ ...node, layer: at * 3 })) };
  assert.throws(() => planOf(gaps, 'whole | 2 | whole | 3 | whole'), /no operator lies between/);
});

test('buildPlan() prints a notation that gives the same plan again', () => {
  const grids = fc.integer({ min: 1, max: 4 });
  fc.assert(
    fc.property(randomGraph({ maxSize: 40, maxWords: 10 }), grids, grids, ({ notation }, rows, cols) => {
      const graph = graphOf(notation);
      const plan = planOf(graph, `${rows}x${cols}`);
      assert.deepEqual(planOf(graph, plan.notation), plan);
    }),
    { numRuns: 100 },
  );
});

test('buildPlan() predicts more work and no more memory for tiles of a deep segment', () => {
  const graph = graphOf('3x96x96: c16k3p1 c16k3p1 c16k3p1 m2s2');
  const whole = planOf(graph, 'whole');
  const tiled = planOf(graph, '4x4');
  assert.ok((tiled.segments[0]?.prediction.macOverhead ?? 0) > 1.1);
  assert.ok(tiled.predicted.workingBytes < whole.predicted.workingBytes);
});

function planOf(graph: Parameters<typeof buildPlan>[0], notation: string) {
  return buildPlan(graph, parsePlan(notation), SETTINGS);
}
