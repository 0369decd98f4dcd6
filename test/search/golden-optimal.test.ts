/** Golden plans of the search, for fixed networks and budgets. A refactor leaves them; a better search changes them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFINITIONS } from '../../agent/models/definitions.js';
import { buildDarknet, parseDarknetConfig } from '../../shared/darknet/index.js';
import type { Graph } from '../../shared/graph/index.js';
import { externalizeConstants } from '../../shared/graph/index.js';
import { BudgetError, optimalCandidates, searchPlan } from '../../shared/search/index.js';

const SETTINGS = { threads: 2, level: 'extended', weights: 'resident' } as const;

const GOLDEN = [
  ['yolov2', 300, 'whole', '451.2 ms'],
  ['yolov2', 180, 'whole | 20 | whole | 24 | whole', '461.7 ms'],
  ['yolov2', 120, 'whole | 20 | whole | 23 | whole | 24 | whole | 26 | whole', '468.2 ms'],
  ['yolov2', 80, 'stream16 | 8 | whole | 20 | whole | 23 | whole | 24 | whole | 29 | whole', '480.4 ms'],
  [
    'yolov2',
    68,
    'stream4 | 12 | whole | 20 | whole | 23 | stream4 | 24 | stream4 | 26 | whole | 28 | stream8 | 30 | whole',
    '517.4 ms',
  ],
  [
    'yolov2',
    60,
    'stream1 | 14 | stream1 | 20 | stream4 | 23 | stream1 | 24 | stream1 | 26 | whole | 28 | stream2 | 30 | whole',
    'needs 62.8M',
  ],
  ['yolov2-tiny', 64, 'whole', '46.1 ms'],
  ['yolov2-tiny', 48, 'whole | 13 | whole', '48.1 ms'],
  ['yolov2-tiny', 36, 'stream8 | 10 | whole | 12 | whole | 13 | whole', '51.9 ms'],
  ['yolov2-tiny', 30, 'stream8 | 8 | whole | 12 | whole | 13 | stream4 | 14 | whole', '57.1 ms'],
  ['yolov2-tiny', 20, 'stream4 | 6 | whole | 12 | stream2 | 13 | stream1 | 14 | whole', 'needs 26.4M'],
] as const;

test('searchPlan() by the optimal search gives the golden plans', () => {
  const graphs = new Map([
    ['yolov2', darknet('yolov2', 608)],
    ['yolov2-tiny', darknet('yolov2-tiny', 416)],
  ]);
  const found = GOLDEN.map(([name, budget]) => {
    const graph = graphs.get(name);
    return [name, budget, ...(graph === undefined ? [] : planOf(graph, budget))];
  });
  assert.deepEqual(found, GOLDEN);
});

/** Returns notation and milliseconds, or the least megabytes where nothing fits. */
function planOf(graph: Graph, megabytes: number): readonly [string, string] {
  try {
    const options = { ...SETTINGS, budgetBytes: megabytes * 2 ** 20 };
    const { notation, predicted } = searchPlan(graph, optimalCandidates, options);
    return [notation, `${predicted.latencyMs.toFixed(1)} ms`];
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    return [error.smallest.notation, `needs ${(error.smallestBytes / 2 ** 20).toFixed(1)}M`];
  }
}

/** Builds a network with weights of zero, since plans don't depend on their values. */
function darknet(name: string, size: number): Graph {
  const weights = {
    take: ({ filters, perFilter }: { filters: number; perFilter: number }) => ({
      weights: new Float32Array(filters * perFilter),
      biases: new Float32Array(filters),
    }),
    end: () => undefined,
  };
  const sections = parseDarknetConfig(DEFINITIONS.get(name) ?? '');
  const { graph } = buildDarknet(sections, { weights, size: { width: size, height: size } });
  return externalizeConstants(graph, 'weights').graph;
}
