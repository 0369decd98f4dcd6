/** The law of exactness on ONNX Runtime itself. Random graphs, cut and tiled at random, equal the untiled run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import type { Level } from '../../shared/predict/index.js';
import { buildPlan, parsePlan } from '../../shared/search/index.js';
import { randomGraph } from '../random-graph.js';
import { assertExact, assertExactOrRefused, readyGraph } from './assert-exact.js';

test('a tiled run equals the whole run', async (context) => {
  const cases = [
    ['3x33x41: c4k3s2p1 @0 c4k1s2 +1 c4k3p1', '3x2'],
    ['3x30x30: c8k7p3 m3s2p1^ c8k3p2d2 u2 c4k3p1 ! m2s2 c4k3p1', '2x2'],
    ['3x40x40: c8k3p1 m2s2 ! c8k3p1 m2s2 u2 &2 c4k1 u2 &1 c4k3p1', '4x4'],
    ['3x25x25: a3s2p1+ c4k4p1.2.2.1 a3s1p1', '2x3'],
    ['3x24x24: c8k3p1g1 e c8k3p1 *', '3x3'],
    ['3x24x24: s2 c16k3p1 d2 v2 z1 c4k3', '2x2'],
    ['3x24x24: c8k3p1 f4 c4k3p1 ! @1 c4k5p2 h t l', '3x1'],
    ['3x26x26: c4k2s2p1.0.0.1 m2s2p0.0.1.1 c4k6p2.3.3.2', '2x2'],
    // Tiles of fewer columns than a mirrored border folds back.
    ['3x9x9: z2~ c4k1 m2s2', '1x4'],
    ['3x12x40: m2s2 z3~ c4k1', '1x6'],
  ] as const;
  for (const [notation, plan] of cases) {
    await context.test(`${notation} as ${plan}`, async () => {
      await assertExact(notation, plan, { threads: 1, level: 'extended' });
    });
  }
});

test('a streamed run equals the whole run', async (context) => {
  const cases = [
    ['3x33x41: c8k3p1 c8k3p1 c4k3p1', 'stream4'],
    ['3x33x41: c8k3p1 c8k3p1 c4k3p1', 'stream1'],
    ['3x40x40: c8k3p1 l m2s2 c8k3p1 l m2s2 c4k3p1', 'stream1'],
    ['3x40x40: c8k3p1 l m2s2 c8k3p1 l m2s2 c4k3p1', 'stream2 > 3 > stream2'],
    ['3x40x40: c8k3p1 l m2s2 c8k3p1 l m2s2 c4k3p1', 'stream2 > 3 > stream1 > 5 > stream3'],
    ['3x40x40: c8k3p1 c8k3p1 c8k3p1 +1 c4k3p1', 'stream2'],
    ['3x40x40: c8k3p1 m2s2 ! c8k3p1 m2s2 u2 &2 c4k1 u2 &1 c4k3p1', 'stream1'],
    ['3x40x40: c8k3p1 m2s2 ! c8k3p1 m2s2 u2 &2 c4k1 u2 &1 c4k3p1', 'stream1 > 3 > stream1'],
    ['3x33x30: c4k3s2p1 @0 c4k1s2 +1 c4k3p1', 'stream3'],
    ['3x50x30: c8k7p3 m3s2p1^ c8k3p2d2 u2 c4k3p1 ! m2s2 c4k3p1', 'stream2'],
    ['3x37x25: a3s2p1+ c4k4p1.2.2.1 a3s1p0', 'stream1'],
    ['3x36x26: c4k2s2p1.0.0.1 m2s2p0.0.1.1 c4k6p2.3.3.2', 'stream1'],
    ['3x48x24: s2 c16k3p1 d2 z1 c4k3', 'stream3'],
    ['3x48x24: c8k3p1 f4 c4k3p1 ! @1 c4k5p2 h t l', 'stream4'],
    ['3x64x24: c4k1s3 c4k3p1', 'stream2'],
  ] as const;
  for (const [notation, plan] of cases) {
    await context.test(`${notation} as ${plan}`, async () => {
      const settings = { threads: 1, level: 'extended' } as const;
      const { notation: real } = buildPlan(readyGraph(notation), parsePlan(plan), settings);
      assert.match(real, /stream/);
      await assertExact(notation, plan, settings);
    });
  }
});

test('random graphs, cut, tiled and streamed at random, equal the whole run', async () => {
  const property = fc.asyncProperty(
    randomGraph({ maxSize: 64, maxWords: 12 }),
    fc.array(randomMode(), { minLength: 1, maxLength: 4 }),
    fc.array(fc.nat(99), { minLength: 3, maxLength: 3 }),
    fc.integer({ min: 1, max: 2 }),
    fc.constantFrom<Level>('basic', 'extended', 'all'),
    async ({ notation }, modes, cuts, threads, level) => {
      const plan = planOf(readyGraph(notation), modes, cuts);
      await assertExactOrRefused(notation, plan, { threads, level });
    },
  );
  await fc.assert(property, { numRuns: Number(process.env.MAFAT_RUNS ?? 600) });
});

function randomMode(): fc.Arbitrary<string> {
  const size = fc.integer({ min: 1, max: 4 });
  const stream = fc.integer({ min: 1, max: 9 }).map((rows) => `stream${rows}`);
  const grid = fc.tuple(size, size).map(([rows, cols]) => `${rows}x${cols}`);
  return fc.oneof({ weight: 3, arbitrary: stream }, { weight: 1, arbitrary: grid });
}

/** A plan with these modes and random cuts. Neighbouring streams are linked. */
function planOf(graph: Graph, modes: readonly string[], choices: readonly number[]): string {
  const layers = graph.nodes.slice(1).map(({ layer }) => layer);
  const places = new Set(choices.map((choice) => layers[choice % Math.max(1, layers.length)]));
  const cuts = layers.filter((layer) => places.has(layer)).slice(0, modes.length - 1);
  return cuts.reduce((text, cut, at) => {
    const [before = '', after = 'whole'] = [modes[at], modes[at + 1]];
    const mark = before.startsWith('stream') && after.startsWith('stream') ? '>' : '|';
    return `${text} ${mark} ${cut} ${mark} ${after}`;
  }, modes[0] ?? 'whole');
}
