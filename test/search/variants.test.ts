import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { externalizeConstants } from '../../shared/graph/index.js';
import type { CostEntry, DeviceProfile, Level, RunSettings } from '../../shared/predict/index.js';
import { ALLOCATORS, BUILT_IN_PROFILE } from '../../shared/predict/index.js';
import type { Strategy } from '../../shared/search/index.js';
import {
  BudgetError,
  budgetedBytes,
  InexactPlanError,
  mafatCandidates,
  optimalCandidates,
  parsePlan,
  searchPlan,
  searchVariants,
} from '../../shared/search/index.js';
import { graphOf } from '../notation.js';

const POOLS = '3x128x128: c16k3p1 l m2s2 c32k3p1 l m2s2 c32k3p1 l c16k1';
const { graph: GRAPH } = externalizeConstants(graphOf(POOLS), 'weights.bin');

/** Factor within which a search treats latencies as equal, with some room. */
const NEAR = 1.03;

/** Strategies, each with the ratio to the least budget from which on its promises hold. */
const STRATEGIES = [
  { name: 'mafat', strategy: mafatCandidates, from: 1 },
  { name: 'optimal', strategy: optimalCandidates, from: 1.5 },
] as const;

/** All ways to combine some levels and numbers of threads in any order, with one allocator. */
const allVariants: fc.Arbitrary<readonly RunSettings[]> = fc
  .tuple(
    fc.shuffledSubarray(['extended', 'layout', 'all'] as const, { minLength: 1 }),
    fc.constantFrom(...ALLOCATORS),
    fc.shuffledSubarray([1, 2, 4], { minLength: 1 }),
  )
  .map(([levels, allocator, counts]) =>
    counts.flatMap((threads) => levels.map((level) => ({ level, allocator, threads }))),
  );

const request = fc.record({
  variants: allVariants,
  weights: fc.constantFrom('resident', 'evictable'),
  copiesWeights: fc.boolean(),
});

for (const { name, strategy, from } of STRATEGIES) {
  test(`searchVariants() is as fast as the fastest of all variants, by strategy ${name}`, () => {
    const factor = fc.double({ min: from, max: 3, noNaN: true });
    fc.assert(
      fc.property(request, factor, ({ variants, ...known }, times) => {
        const options = { ...known, budgetBytes: times * leastOf(strategy, variants, known) };
        const fastest = fastestOf(strategy, variants, options);
        const { predicted, settings } = searchVariants(GRAPH, strategy, { ...options, variants });
        assert.ok(budgetedBytes(predicted, known.weights) <= options.budgetBytes);
        assert.ok(predicted.latencyMs <= fastest * NEAR, `${predicted.latencyMs}, fastest ${fastest} ms`);
        assert.ok(variants.some((one) => isDeepStrictEqual(one, settings)));
      }),
      { numRuns: 12 },
    );
  });

  test(`searchVariants() says the least of all variants when none fits, by strategy ${name}`, () => {
    fc.assert(
      fc.property(request, ({ variants, ...known }) => {
        const least = leastOf(strategy, variants, known);
        const search = () => searchVariants(GRAPH, strategy, { ...known, variants, budgetBytes: 1 });
        const { smallest, smallestBytes } = budgetErrorOf(search);
        assert.equal(smallestBytes, least);
        assert.equal(budgetedBytes(smallest.predicted, known.weights), least);
      }),
      { numRuns: 12 },
    );
  });
}

test('searchVariants() says the least of all variants where blocked levels copy weights', () => {
  // As agent/open-model.ts gives them, for a model whose weights can't be mapped.
  const variants = (['all', 'extended'] as const).map(
    (level) => ({ level, allocator: 'glibc', threads: 1 }) as const,
  );
  const known = { weights: 'resident' } as const;
  const search = () => searchVariants(GRAPH, optimalCandidates, { ...known, variants, budgetBytes: 1 });
  assert.equal(budgetErrorOf(search).smallestBytes, leastOf(optimalCandidates, variants, known));
});

test('searchVariants() takes the first of variants that are equally fast', () => {
  // Costs of one thread are taken for two, and trimmed memory costs nothing.
  const profile = profileOf((entry) => ({ ...entry, costs: { ...entry.costs, faultedBytes: 0 } }));
  const variants = ALLOCATORS.flatMap((allocator) =>
    [1, 2].map((threads) => ({ level: 'extended', allocator, threads }) as const),
  );
  for (let turn = 0; turn < variants.length; turn += 1) {
    const turned = [...variants.slice(turn), ...variants.slice(0, turn)];
    const plan = search(mafatCandidates, turned, { profile });
    assert.deepEqual(plan.settings, turned[0]);
  }
});

test('searchVariants() does not take a variant that is slower, wherever it stands', () => {
  const fast = { level: 'extended', allocator: 'jemalloc', threads: 2 } as const;
  const slow = { level: 'extended', allocator: 'glibc', threads: 1 } as const;
  for (const variants of [
    [fast, slow],
    [slow, fast],
  ])
    assert.deepEqual(search(optimalCandidates, variants).settings, fast);
});

test('searchVariants() takes a slower variant where the faster one does not fit', () => {
  const fast = { level: 'extended', allocator: 'jemalloc', threads: 2 } as const;
  const small = { level: 'extended', allocator: 'glibc', threads: 1 } as const;
  const budgetBytes = leastOf(optimalCandidates, [small], { weights: 'resident' });
  assert.ok(budgetBytes < leastOf(optimalCandidates, [fast], { weights: 'resident' }));
  const options = { weights: 'resident', variants: [fast, small], budgetBytes } as const;
  assert.deepEqual(searchVariants(GRAPH, optimalCandidates, options).settings, small);
});

interface Known {
  readonly weights: 'resident' | 'evictable';
  readonly copiesWeights?: boolean;
}

type OneSearch = RunSettings & Known;

/** The least budget that any of the variants meets, each searched by itself. */
test('searchVariants() passes over settings at which a plan breaks the law of exactness', () => {
  const graph = graphOf('3x48x48: c8k3p1 v2 c8k3p1');
  const plan = (levels: readonly Level[]) =>
    searchVariants(graph, () => [parsePlan('stream4')], {
      variants: levels.map((level) => ({ level, threads: 1, allocator: 'glibc' })),
      weights: 'resident',
      budgetBytes: 1e9,
    });
  assert.equal(plan(['all', 'extended']).settings.level, 'extended');
  assert.throws(() => plan(['all']), InexactPlanError);
});

function leastOf(strategy: Strategy, variants: readonly RunSettings[], known: Known): number {
  return Math.min(...variants.map((one) => smallestOf(strategy, { ...known, ...one }).smallestBytes));
}

function search(
  strategy: Strategy,
  variants: readonly RunSettings[],
  known: { profile?: DeviceProfile } = {},
) {
  const options = { weights: 'resident', budgetBytes: Number.POSITIVE_INFINITY, variants, ...known } as const;
  return searchVariants(GRAPH, strategy, options);
}

/** Milliseconds of the fastest of the variants, each searched by itself. */
function fastestOf(
  strategy: Strategy,
  variants: readonly RunSettings[],
  options: Known & { readonly budgetBytes: number },
): number {
  const plans = variants.flatMap((one) => planOf(strategy, { ...options, ...one }));
  return Math.min(...plans.map(({ predicted }) => predicted.latencyMs));
}

/** Searches one plan. @returns no plan where none fits. */
function planOf(strategy: Strategy, options: OneSearch & { readonly budgetBytes: number }) {
  try {
    return [searchPlan(GRAPH, strategy, options)];
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    return [];
  }
}

function smallestOf(strategy: Strategy, options: OneSearch): BudgetError {
  return budgetErrorOf(() => searchPlan(GRAPH, strategy, { ...options, budgetBytes: 1 }));
}

function budgetErrorOf(work: () => unknown): BudgetError {
  try {
    work();
  } catch (error) {
    if (error instanceof BudgetError) return error;
    throw error;
  }
  return assert.fail('a byte is enough');
}

/** Makes a profile of one thread, with other costs. */
function profileOf(change: (entry: CostEntry) => CostEntry): DeviceProfile {
  const entries = BUILT_IN_PROFILE.entries.filter(({ threads }) => threads === 1);
  return { source: 'test', entries: entries.map(change) };
}
