/** The law of exactness for streamed tiles, on ONNX Runtime itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Graph } from '../../shared/graph/index.js';
import type { Level } from '../../shared/predict/index.js';
import { isGraph, randomGraph } from '../random-graph.js';
import { assertExact, assertExactOrRefused, readyGraph } from './assert-exact.js';

const LEVELS: readonly Level[] = ['basic', 'extended', 'all'];

test('streamed tiles equal the whole run', async (context) => {
  const cases = [
    ['3x40x41: c8k3p1 c8k3p1 c4k3p1', '1x2:stream4'],
    ['3x40x41: c8k3p1 c8k3p1 c4k3p1', '2x3:stream1'],
    ['3x48x48: c8k3p1 l m2s2 c8k3p1 l m2s2 c4k3p1', '2x2:stream1'],
    // Odd sizes, and branches that round differently.
    ['3x57x41: c4k3s2p1 @0 c4k1s2 +1 c4k3p1', '2x2:stream3'],
    ['3x67x35: c4k3p1 m3s2p1^ m2s2^ c4k3p1', '1x3:stream1'],
    // Several outputs at different strides, of which a step or a tile may own nothing.
    ['3x64x40: c8k3p1 ! m2s2 c8k3p1 ! m2s2 c8k3p1 ! @2 c4k3p1 u2 &1', '2x2:stream1'],
    ['3x64x40: c8k7p3 m3s2p1^ c8k3p2d2 u2 c4k3p1 ! m2s2 c4k3p1', '2x1:stream2'],
    // Residuals over several windows, and the image itself.
    ['3x64x40: c8k3p1 c8k3p1 c8k5p2 c8k3p1 +1 x1 c4k3p1', '2x2:stream3'],
    ['3x64x20: c3k3p1 c3k3p1 c3k3p1 +0 &1 c4k3p1', '3x2:stream2'],
    // Upsampling, strides over rows, and asymmetric padding.
    ['3x90x24: c4k1s3 c4k2s3p1 u3 c4k3p1', '1x2:stream1'],
    ['3x60x26: c4k2s2p1.0.0.1 m2s2p0.0.1.1 c4k6p2.3.3.2', '2x2:stream1'],
    ['3x64x24: s2 c16k3p1 d2 z1 c4k3 f2 c4k5p2 h t *', '2x2:stream2'],
    ['3x64x32: c8k3p1 a2s2 c4k3p1', '2x2:stream3'],
  ] as const;
  for (const [at, [notation, planText]] of cases.entries()) {
    await context.test(`${notation} as ${planText}`, async () => {
      const settings = { threads: 1 + (at % 2), level: LEVELS[at % 3] ?? 'all' } as const;
      const plan = await assertExact(notation, planText, settings);
      assert.equal(plan.notation, planText);
    });
  }
});

test('streamed tiles work next to other modes, and between barriers', async () => {
  const cases = [
    ['3x64x40: c8k3p1 m2s2 c8k3p1 c8k3p1', '1x2:stream4 | 2 | 2x2', '1x2:stream4 | 2 | 2x2'],
    ['3x64x40: c8k3p1 m2s2 c8k3p1 c8k3p1', 'stream4 | 2 | 2x1:stream1', 'stream4 | 2 | 2x1:stream1'],
    // A gate that needs the whole map is cut out; the operands that it makes go whole to each tile.
    ['3x48x40: c8k3p1 c8k3p1 e c8k3p1 c4k3p1', '1x2:stream2', '1x2:stream2 | 2 | whole | 3 | 1x2:stream2'],
    // Operators that are cropped.
    ['3x48x40: c8k3p1 v2 c4k3p1 a3p1 z2~ w4k4s2p1', '2x2:stream2', '2x2:stream2'],
    // Tiles that are too short for a stream run at once. There are no more columns of tiles than of the map.
    ['3x32x40: c8k3p1 m2s2 c4k5p2', '8x1:stream4', '8x1'],
    ['3x40x6: c8k3p1 m2s2 c4k3p1', '1x5:stream2', '1x3:stream2'],
    ['3x40x3: c8k3p1 m2s2 c4k3p1', '1x5:stream2', 'stream2'],
    ['3x40x40: c8k3p1', '1x1:stream2', 'stream2'],
  ] as const;
  for (const [notation, asked, real] of cases) {
    const plan = await assertExact(notation, asked, { threads: 1, level: 'extended' });
    assert.equal(plan.notation, real, notation);
  }
});

test('random graphs in streamed tiles equal the whole run', async () => {
  const seen = { runs: 0, streamed: 0, several: 0 };
  const property = fc.asyncProperty(
    highGraphs,
    fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 2, max: 4 }), fc.boolean()),
    fc.integer({ min: 1, max: 5 }),
    fc.tuple(fc.nat(99), fc.nat(2)),
    fc.integer({ min: 1, max: 2 }),
    fc.constantFrom(...LEVELS),
    async ({ notation }, [few, many, isHigh], rows, [choice, kinds], threads, level) => {
      const mode = `${isHigh ? `${many}x${few}` : `${few}x${many}`}:stream${rows}`;
      const text = cutPlan(readyGraph(notation), { mode, choice, isCut: kinds === 0 });
      const plan = await assertExactOrRefused(notation, text, { threads, level });
      if (plan === undefined) return;
      const streams = plan.segments.flatMap(({ segment }) =>
        segment.kind === 'streamed-tiles' ? [segment.streams] : [],
      );
      seen.runs += 1;
      seen.streamed += streams.length > 0 ? 1 : 0;
      seen.several += streams.some(({ length }) => length > 1) ? 1 : 0;
    },
  );
  await fc.assert(property, { numRuns: Number(process.env.MAFAT_RUNS ?? 120) });
  assert.ok(seen.streamed > seen.runs / 2, `only ${seen.streamed} of ${seen.runs} were streamed`);
  assert.ok(seen.several > seen.runs / 8, `only ${seen.several} of ${seen.runs} had tiles of several shapes`);
});

/** Graphs high enough to be streamed in several tiles. Adding 64 rows keeps most equally high maps equally high. */
const highGraphs = randomGraph({ maxSize: 48, maxWords: 10 })
  .map(({ notation }) => ({
    notation: notation.replace(/^3x(\d+)/, (_, rows) => `3x${Number(rows) + 64}`),
  }))
  .filter(({ notation }) => isGraph(notation));

/** One mode for all layers, or two modes with a cut at a random layer. */
function cutPlan(
  graph: Graph,
  { mode, choice, isCut }: { mode: string; choice: number; isCut: boolean },
): string {
  const layers = [...new Set(graph.nodes.map(({ layer }) => layer))].slice(1);
  const cut = layers[choice % Math.max(1, layers.length)];
  return isCut && cut !== undefined ? `${mode} | ${cut} | ${mode}` : mode;
}
