/** The law of exactness, on ONNX Runtime itself: random graphs, cut and tiled at random, equal the untiled run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { OutputTensor } from '../../agent/engine/protocol.js';
import { verifyOutputs } from '../../agent/verify-outputs.js';
import type { Graph, Level, PredictSettings } from '../../shared/index.js';
import { buildPlan, float32Values, foldChannelAffine, foldPads, parsePlan } from '../../shared/index.js';
import { graphOf } from '../notation.js';
import { randomGraph } from '../random-graph.js';
import { runInProcess } from '../run-in-process.js';

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
  ] as const;
  for (const [notation, plan] of cases) {
    await context.test(`${notation} as ${plan}`, async () =>
      assertExact(notation, plan, { threads: 1, level: 'extended' }),
    );
  }
});

test('random graphs, cut and tiled at random, equal the whole run', async () => {
  const grid = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }));
  const property = fc.asyncProperty(
    randomGraph({ maxSize: 48, maxWords: 12 }),
    fc.array(grid, { minLength: 1, maxLength: 3 }),
    fc.array(fc.nat(99), { minLength: 2, maxLength: 2 }),
    fc.integer({ min: 1, max: 2 }),
    fc.constantFrom<Level>('basic', 'extended', 'all'),
    async ({ notation }, grids, cuts, threads, level) => {
      const layers = readyGraph(notation)
        .nodes.slice(1)
        .map(({ layer }) => layer);
      const places = new Set(cuts.map((cut) => layers[cut % Math.max(1, layers.length)]));
      const usable = layers.filter((layer) => places.has(layer)).slice(0, grids.length - 1);
      const modes = grids.slice(0, usable.length + 1).map(([rows, cols]) => `${rows}x${cols}`);
      const plan = modes.map((mode, at) => (at === 0 ? mode : `${usable[at - 1]} | ${mode}`)).join(' | ');
      await assertExact(notation, plan, { threads, level });
    },
  );
  await fc.assert(property, { numRuns: 400 });
});

async function assertExact(notation: string, planText: string, settings: PredictSettings): Promise<void> {
  const graph = readyGraph(notation);
  const plan = buildPlan(graph, parsePlan(planText), settings);
  const whole = buildPlan(graph, parsePlan('whole'), settings);
  const tiled = await runInProcess(graph, plan, settings);
  const reference = await runInProcess(graph, whole, settings);
  const bitExact = plan.segments.every(({ prediction }) => prediction.bitExact);
  if (reference.some(isConstant)) return;
  const result = verifyOutputs(tiled, reference, { bitExact });
  assert.ok(result.exact, `${notation} as ${plan.notation}: ${JSON.stringify(result)}`);
}

/** As imports make it: what ONNX Runtime would fuse across a cut is folded. */
function readyGraph(notation: string): Graph {
  return foldPads(foldChannelAffine(graphOf(notation)));
}

/** Random graphs may end in nothing but zeros, which verifyOutputs() refuses to call verified. */
function isConstant({ bytes }: OutputTensor): boolean {
  const values = float32Values(bytes ?? new Uint8Array());
  return values.length > 1 && values.every((value) => value === values[0]);
}
