import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { externalizeConstants } from '../../shared/graph/index.js';
import { budgetedBytes, buildPlan, parsePlan, quickPlan } from '../../shared/search/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

const SETTINGS = { threads: 1, level: 'extended', weights: 'resident' } as const;
const POOLS = '3x512x512: c16k3p1 l m2s2 c32k3p1 l m2s2 c64k3p1 l m2s2 c128k3p1 l m2s2 c256k3p1 l c256k3p1 l';

test('quickPlan() runs the graph whole where memory is no matter', () => {
  const plan = quickPlan(graphOf(POOLS), { ...SETTINGS, budgetBytes: Number.POSITIVE_INFINITY });
  assert.equal(plan.notation, 'whole');
});

test('quickPlan() streams where memory is short, and runs the small maps whole', () => {
  const { notation } = quickPlan(graphOf(POOLS), { ...SETTINGS, budgetBytes: 1 });
  assert.match(notation, /^stream.* \| whole$/);
});

test('quickPlan() cuts the rest so that the weights of one layer are mapped at a time', () => {
  const { graph } = externalizeConstants(
    graphOf('3x256x256: c8k3p1 m4s4 c16k3p1 m4s4 c512k3p1 c512k3p1 c512k3p1'),
    'w',
  );
  const { predicted } = quickPlan(graph, { ...SETTINGS, budgetBytes: 1 });
  assert.equal(predicted.weightsBytes, 4 * 512 * 512 * 9);
});

test('quickPlan() tiles a graph that grows back to its full size by interpolation', () => {
  const { notation } = quickPlan(graphOf('3x256x256: c16k3s2p1 c32k3s2p1 v2 c16k3p1 v2 c8k3p1'), {
    ...SETTINGS,
    budgetBytes: 1,
  });
  assert.equal(notation, '5x5');
});

test('quickPlan() takes a plan that fits if it has one, and gives the one that it predicts', () => {
  const parts = fc.double({ min: 0, max: 1.2, noNaN: true });
  const property = fc.property(randomGraph({ maxSize: 96, maxWords: 12 }), parts, ({ notation }, part) => {
    const graph = graphOf(notation);
    const needWithin = (budgetBytes: number) => {
      const { notation: text, predicted } = quickPlan(graph, { ...SETTINGS, budgetBytes });
      assert.deepEqual(buildPlan(graph, parsePlan(text), SETTINGS).predicted, predicted);
      return budgetedBytes(predicted, 'resident');
    };
    const least = needWithin(0);
    const budgetBytes = least * (1 + part);
    assert.ok(needWithin(budgetBytes) <= budgetBytes);
    assert.ok(needWithin(least - 1) === least);
  });
  fc.assert(property, { numRuns: 60 });
});
