import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import { externalizeConstants } from '../../shared/graph/index.js';
import type { SearchOptions } from '../../shared/search/index.js';
import {
  BudgetError,
  budgetedBytes,
  buildPlan,
  mafatCandidates,
  searchPlan,
} from '../../shared/search/index.js';
import { formatPlan } from '../../shared/search/notation.js';
import { graphOf } from '../notation.js';

const SETTINGS = { threads: 1, level: 'extended' } as const;
const POOLS = '3x96x96: c16k3p1 m2s2 c16k3p1 m2s2 c16k3p1';

test('mafatCandidates() tiles least first and cuts after the last pool first', () => {
  assert.deepEqual(candidatesOf(POOLS).slice(0, 7), [
    'whole',
    'whole | 4 | 2x2',
    'whole | 2 | 2x2',
    '2x2',
    '2x2 | 4 | 2x2',
    '2x2 | 2 | 2x2',
    '3x3',
  ]);
});

test('mafatCandidates() ends with 5x5 tiles cut after the first pool', () => {
  const candidates = candidatesOf(POOLS);
  assert.equal(candidates.length, 15);
  assert.equal(candidates.at(-1), '5x5 | 2 | 2x2');
});

test('mafatCandidates() cuts after strided convolutions when no pool makes the map smaller', () => {
  const cut = ['whole', 'whole | 3 | 2x2', 'whole | 1 | 2x2'];
  assert.deepEqual(candidatesOf('3x64x64: c4k3s2p1 c4k3p1 c4k3s2p1 c4k1').slice(0, 3), cut);
  assert.deepEqual(candidatesOf('3x64x64: c4k3s2p1 m3s1p1 c4k3s2p1 c4k1').slice(0, 3), cut);
});

test('mafatCandidates() cuts after pools only when there are any', () => {
  const candidates = candidatesOf('3x64x64: c4k3s2p1 c4k3p1 a2s2 c4k1');
  assert.deepEqual(candidates.slice(0, 3), ['whole', 'whole | 3 | 2x2', '2x2']);
});

test('mafatCandidates() never cuts after the last layer', () => {
  const grids = ['whole', '2x2', '3x3', '4x4', '5x5'];
  assert.deepEqual(candidatesOf('3x64x64: c4k3p1 m2s2'), grids);
  assert.deepEqual(candidatesOf('3x64x64: c4k3p1 c4k3p1'), grids);
});

test('searchPlan() takes the first candidate that fits', () => {
  const graph = graphOf(POOLS);
  const needs = [...mafatCandidates(graph)].map((notation) => {
    const plan = buildPlan(graph, notation, SETTINGS);
    return { notation: plan.notation, bytes: plan.predicted.peakBytes };
  });
  const [smallest, largest] = [
    Math.min(...needs.map(({ bytes }) => bytes)),
    Math.max(...needs.map(({ bytes }) => bytes)),
  ];
  fc.assert(
    fc.property(fc.integer({ min: smallest, max: largest + 1 }), (budgetBytes) => {
      const plan = searchPlan(graph, mafatCandidates, options(budgetBytes));
      assert.equal(plan.notation, needs.find(({ bytes }) => bytes <= budgetBytes)?.notation);
      assert.ok(plan.predicted.peakBytes <= budgetBytes);
    }),
    { numRuns: 20 },
  );
});

test('searchPlan() says the least budget that a candidate would meet when none fits', () => {
  const graph = graphOf(POOLS);
  const error = budgetErrorOf(graph, options(1));
  assert.equal(error.code, 'BUDGET_TOO_SMALL');
  assert.match(error.message, /^Cannot plan within 0\.1M: the smallest plan, .+, needs \d+(\.\d)?M$/);
  const plan = searchPlan(graph, mafatCandidates, options(error.smallestBytes));
  assert.equal(plan.predicted.peakBytes, error.smallestBytes);
  assert.ok(error.message.includes(`, ${plan.notation}, `));
  assert.equal(budgetErrorOf(graph, options(error.smallestBytes - 1)).smallestBytes, error.smallestBytes);
});

test('searchPlan() leaves weights out of the budget when they are evictable', () => {
  const { graph } = externalizeConstants(graphOf('3x32x32: c64k3p1 c64k3p1 c64k3p1'), 'weights.bin');
  const resident = budgetErrorOf(graph, options(1));
  const evictable = budgetErrorOf(graph, { ...options(1), weights: 'evictable' });
  assert.ok(evictable.smallestBytes < resident.smallestBytes);
  const plan = searchPlan(graph, mafatCandidates, {
    ...options(evictable.smallestBytes),
    weights: 'evictable',
  });
  assert.equal(budgetedBytes(plan.predicted, 'evictable'), evictable.smallestBytes);
});

test('searchPlan() fails when the strategy has no candidates', () => {
  const search = () => searchPlan(graphOf(POOLS), () => [], options(1));
  assert.throws(search, { name: 'RangeError', message: /the strategy has no candidates/ });
});

function candidatesOf(notation: string): readonly string[] {
  return [...mafatCandidates(graphOf(notation))].map(formatPlan);
}

function options(budgetBytes: number): SearchOptions {
  return { ...SETTINGS, budgetBytes, weights: 'resident' };
}

function budgetErrorOf(graph: Graph, search: SearchOptions): BudgetError {
  try {
    searchPlan(graph, mafatCandidates, search);
  } catch (error) {
    assert.ok(error instanceof BudgetError);
    return error;
  }
  return assert.fail(`a plan fits in ${search.budgetBytes} bytes`);
}
