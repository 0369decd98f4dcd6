import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import type { Plan, Strategy } from '../../shared/search/index.js';
import {
  BudgetError,
  buildPlan,
  mafatCandidates,
  optimalCandidates,
  parsePlan,
  searchPlan,
} from '../../shared/search/index.js';
import type { PlanNotation } from '../../shared/search/notation.js';
import { parseMode } from '../../shared/tile/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';

const SETTINGS = { threads: 1, level: 'extended', weights: 'resident' } as const;
const POOLS = '3x256x256: c16k3p1 l m2s2 c32k3p1 l m2s2 c32k3p1 l c16k1 l c32k3p1';

/** Factor within which the search treats latencies as equal, with some room. */
const NEAR = 1.03;

test('optimalCandidates() gives the untiled plan where memory is no matter', () => {
  const plan = searchWithin(graphOf(POOLS), Number.POSITIVE_INFINITY);
  assert.equal(plan.notation, 'whole');
});

test('optimalCandidates() streams where memory is short, and says what the least is', () => {
  const graph = graphOf(POOLS);
  const whole = buildPlan(graph, { modes: [parseMode('whole')], cuts: [] }, SETTINGS);
  const error = smallestOf(graph);
  assert.ok(error.smallestBytes < whole.predicted.peakBytes);
  assert.match(error.smallest.notation, /stream/);
  const plan = searchWithin(graph, error.smallestBytes);
  assert.ok(plan.predicted.peakBytes <= error.smallestBytes);
});

test('optimalCandidates() is as fast as the best of all plans, by a naive search', () => {
  for (const notation of [
    '3x192x192: c16k3p1 m2s2 c16k3p1 c8k1',
    '3x192x192: c8k3p1 c8k3p1 c8k3p1 +1',
    '3x240x160: c8k3s2p1 ! c8k3p1 m2s2 c16k3p1',
    '3x128x128: c8k3p1 r m2s2 c8k5p2 +3',
  ]) {
    const graph = graphOf(notation);
    const plans = allPlans(graph, ['whole', 'stream1', 'stream4', 'stream16']);
    const least = Math.min(...plans.map(({ predicted }) => predicted.peakBytes));
    const most = Math.max(...plans.map(({ predicted }) => predicted.peakBytes));
    for (const part of [0.02, 0.1, 0.3, 0.6, 1]) {
      const budgetBytes = least + part * (most - least);
      const fitting = plans.filter(({ predicted }) => predicted.peakBytes <= budgetBytes / NEAR);
      if (fitting.length === 0) continue;
      const best = Math.min(...fitting.map(({ predicted }) => predicted.latencyMs));
      const { predicted } = searchWithin(graph, budgetBytes);
      assert.ok(predicted.peakBytes <= budgetBytes);
      assert.ok(
        predicted.latencyMs <= best * NEAR,
        `${notation}: ${predicted.latencyMs} ms, best ${best} ms`,
      );
    }
  }
});

test('optimalCandidates() streams tiles where rows are long and streams of whole rows too large', () => {
  const graph = graphOf('3x256x1024: c16k3p1 l m2s2 c32k3p1 l m2s2 c64k3p1 l');
  const byHand = buildPlan(graph, parsePlan('1x2:stream4'), SETTINGS).predicted;
  const { notation, predicted } = searchWithin(graph, byHand.peakBytes);
  assert.match(notation, /1x\d:stream/);
  assert.ok(predicted.latencyMs <= byHand.latencyMs * NEAR);
});

test('optimalCandidates() keeps every budget that it says it keeps, on random graphs', () => {
  const property = fc.property(
    randomGraph({ maxSize: 64, maxWords: 10 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    ({ notation }, part) => {
      const graph = graphOf(notation);
      const whole = buildPlan(graph, { modes: [parseMode('whole')], cuts: [] }, SETTINGS).predicted.peakBytes;
      const { smallestBytes } = smallestOf(graph);
      assert.ok(smallestBytes <= whole);
      const budgetBytes = smallestBytes + part * (whole - smallestBytes);
      assert.ok(searchWithin(graph, budgetBytes).predicted.peakBytes <= budgetBytes);
    },
  );
  fc.assert(property, { numRuns: 40 });
});

test('optimalCandidates() takes the smallest of the plans that are as fast', () => {
  const graph = graphOf('3x192x192: c16k3p1 m2s2 c16k3p1 c8k1');
  const plans = allPlans(graph, ['whole', 'stream1', 'stream4', 'stream16']);
  for (const budgetBytes of [7e6, 7.5e6, 8e6, 9e6, 12e6]) {
    const { predicted } = searchWithin(graph, budgetBytes);
    const asFast = plans.filter((plan) => plan.predicted.latencyMs <= predicted.latencyMs * (1 + 1e-9));
    for (const plan of asFast) assert.ok(plan.predicted.peakBytes >= predicted.peakBytes, plan.notation);
  }
});

test("optimalCandidates() is never slower than MAFAT's strategy at a budget that it can meet", () => {
  const graph = graphOf(POOLS);
  const { smallestBytes } = smallestOf(graph, mafatCandidates);
  for (const budgetBytes of [1, 1.2, 1.5, 2].map((factor) => factor * smallestBytes)) {
    const ours = searchWithin(graph, budgetBytes);
    const theirs = searchPlan(graph, mafatCandidates, { ...SETTINGS, budgetBytes });
    assert.ok(ours.predicted.latencyMs <= theirs.predicted.latencyMs * NEAR);
  }
});

function searchWithin(graph: Graph, budgetBytes: number): Plan {
  return searchPlan(graph, optimalCandidates, { ...SETTINGS, budgetBytes });
}

function smallestOf(graph: Graph, strategy: Strategy = optimalCandidates): BudgetError {
  try {
    searchPlan(graph, strategy, { ...SETTINGS, budgetBytes: 1 });
  } catch (error) {
    if (error instanceof BudgetError) return error;
    throw error;
  }
  throw new Error('a byte is enough');
}

/** Every way to cut between layers, to run each part, and to link neighbouring streams. */
function allPlans(graph: Graph, modes: readonly string[]): readonly Plan[] {
  const layers = graph.nodes.slice(1).map(({ layer }) => layer);
  const grow = (at: number, head: PlanNotation): readonly PlanNotation[] => {
    const layer = layers[at];
    if (layer === undefined) return [head];
    const links = head.links ?? [];
    const cut = modes.flatMap((mode) => {
      const next = { ...head, modes: [...head.modes, parseMode(mode)], cuts: [...head.cuts, layer] };
      const isLink = mode.startsWith('stream') && head.modes.at(-1)?.kind === 'stream';
      return isLink ? [next, { ...next, links: [...links, layer] }] : [next];
    });
    return [head, ...cut].flatMap((notation) => grow(at + 1, notation));
  };
  const notations = modes.flatMap((mode) => grow(0, { modes: [parseMode(mode)], cuts: [] }));
  return notations.map((notation) => buildPlan(graph, notation, SETTINGS));
}
