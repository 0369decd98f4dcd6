/** Golden plans of MAFAT's search, for fixed networks and budgets. A refactor leaves them as they are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFINITIONS } from '../../agent/models/definitions.js';
import { buildDarknet, parseDarknetConfig } from '../../shared/darknet/index.js';
import type { Graph } from '../../shared/graph/index.js';
import { BudgetError, mafatCandidates, searchPlan } from '../../shared/search/index.js';

const SETTINGS = { threads: 2, level: 'extended', weights: 'evictable' } as const;

const GOLDEN = [
  ['yolov2', 608, 128, 'whole'],
  ['yolov2', 608, 64, '2x2'],
  ['yolov2', 608, 48, '2x2'],
  ['yolov2', 608, 24, '3x3 | 12 | 2x2'],
  ['yolov2', 608, 18, '4x4 | 12 | 2x2'],
  ['yolov2-tiny', 416, 32, 'whole'],
  ['yolov2-tiny', 416, 16, '2x2 | 10 | 2x2'],
  ['yolov2-tiny', 416, 10, 'Cannot plan within 10M: the smallest plan, 3x3 | 10 | 2x2, needs 11.2M'],
] as const;

test('searchPlan() by MAFAT gives the golden plans', () => {
  const found = GOLDEN.map(([name, size, budget]) => [
    name,
    size,
    budget,
    planOf(graphOf(name, size), budget),
  ]);
  assert.deepEqual(found, GOLDEN);
});

function planOf(graph: Graph, megabytes: number): string {
  try {
    return searchPlan(graph, mafatCandidates, { ...SETTINGS, budgetBytes: megabytes * 2 ** 20 }).notation;
  } catch (error) {
    if (error instanceof BudgetError) return error.message;
    throw error;
  }
}

/** Builds the first 16 layers, with weights of zero, since plans don't depend on their values. */
function graphOf(name: string, size: number): Graph {
  const sections = parseDarknetConfig(DEFINITIONS.get(name) ?? '').filter(({ layer }) => layer < 16);
  const weights = {
    take: ({ filters, perFilter }: { filters: number; perFilter: number }) => ({
      weights: new Float32Array(filters * perFilter),
      biases: new Float32Array(filters),
    }),
    end: () => undefined,
  };
  return buildDarknet(sections, { weights, size: { width: size, height: size } }).graph;
}
