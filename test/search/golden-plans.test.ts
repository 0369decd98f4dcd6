import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { DEFINITIONS } from '../../agent/models/definitions.js';
import { buildDarknet, parseDarknetConfig } from '../../shared/darknet/index.js';
import type { Graph } from '../../shared/graph/index.js';
import { externalizeConstants, valueFor } from '../../shared/graph/index.js';
import {
  BudgetError,
  mafatCandidates,
  PLANNER_VERSION,
  pickFromFront,
  searchFront,
  searchPlan,
} from '../../shared/search/index.js';
import { DIGESTS, FRONT_PLANS, MAFAT_PLANS } from './golden-plans.js';

const SETTINGS = { threads: 2, level: 'extended', allocator: 'glibc' } as const;

test('searchFront() gives the golden plans', () => {
  const front = (name: string, size: number) =>
    searchFront(graphOf({ name, size }), { variants: [SETTINGS], weights: 'resident' }).points;
  const fronts = new Map([
    ['yolov2', front('yolov2', 608)],
    ['yolov2-tiny', front('yolov2-tiny', 416)],
  ]);
  const found = FRONT_PLANS.map(([name, size, budget]) => {
    const plan = pickFromFront(valueFor(fronts, name), budget * 2 ** 20)?.plan;
    return [name, size, budget, plan?.notation, `${plan?.predicted.latencyMs.toFixed(1)} ms`];
  });
  assert.deepEqual(found, FRONT_PLANS);
});

test('searchPlan() by MAFAT gives the golden plans', () => {
  const found = MAFAT_PLANS.map(([name, size, budget]) => {
    const graph = graphOf({ name, size, layers: 16 });
    return [name, size, budget, planOf(graph, budget)];
  });
  assert.deepEqual(found, MAFAT_PLANS);
});

test('PLANNER_VERSION is another one whenever a golden plan is', () => {
  const digest = createHash('sha256')
    .update(JSON.stringify([FRONT_PLANS, MAFAT_PLANS]))
    .digest('hex');
  assert.equal(digest, DIGESTS[PLANNER_VERSION], 'golden plans changed: raise PLANNER_VERSION');
});

function planOf(graph: Graph, megabytes: number): string {
  const options = { ...SETTINGS, weights: 'evictable', budgetBytes: megabytes * 2 ** 20 } as const;
  try {
    return searchPlan(graph, mafatCandidates, options).notation;
  } catch (error) {
    if (error instanceof BudgetError) return error.message;
    throw error;
  }
}

interface Network {
  readonly name: string;
  readonly size: number;
  /** Number of layers. All count if it is absent. */
  readonly layers?: number;
}

/** Builds a network with weights of zero, since plans don't depend on their values. */
function graphOf({ name, size, layers = Number.POSITIVE_INFINITY }: Network): Graph {
  const sections = parseDarknetConfig(valueFor(DEFINITIONS, name)).filter(({ layer }) => layer < layers);
  const weights = {
    take: ({ filters, perFilter }: { filters: number; perFilter: number }) => ({
      weights: new Float32Array(filters * perFilter),
      biases: new Float32Array(filters),
    }),
    end: () => undefined,
  };
  const { graph } = buildDarknet(sections, { weights, size: { width: size, height: size } });
  return externalizeConstants(graph, 'weights').graph;
}
