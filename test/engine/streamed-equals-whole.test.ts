/** The law of exactness for streams, on ONNX Runtime itself. Linked streams of many steps equal the untiled run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { verifyOutputs } from '../../agent/cli/verify-outputs.js';
import { ProgramRunner, packOutput } from '../../agent/engine/child/program-runner.js';
import { compilePlan } from '../../agent/engine/compile/compile.js';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';
import { mulberry32 } from '../../shared/darknet/index.js';
import type { Graph } from '../../shared/graph/index.js';
import { GraphBuilder, tensorAt } from '../../shared/graph/index.js';
import type { Level } from '../../shared/predict/index.js';
import type { Plan } from '../../shared/search/index.js';
import { buildPlan, parsePlan } from '../../shared/search/index.js';
import { isGraph, randomGraph } from '../random-graph.js';
import { imageInputOf } from '../run-in-process.js';
import { assertExact, assertExactOrRefused, readyGraph } from './assert-exact.js';

const LEVELS: readonly Level[] = ['basic', 'extended', 'all'];

test('a streamed run equals the whole run', async (context) => {
  const cases = [
    // Several outputs, from both links, at different strides.
    ['3x64x20: c8k3p1 ! m2s2 c8k3p1 ! m2s2 c8k3p1 ! @2 c4k3p1 u2 &1', 'stream2 > 2 > stream1'],
    ['3x64x20: c8k3p1 m2s2 ! c8k3p1 @2 c4k3s2p1 ! @3 c4k1 u2 &1', 'stream1 > 2 > stream2 > 4 > stream4'],
    // A residual over the border of a link, and over two.
    ['3x64x20: c8k3p1 c8k3p1 c8k3p1 +1 c4k3p1', 'stream2 > 1 > stream3'],
    [
      '3x64x20: c8k3p1 c8k3p1 c8k5p2 c8k3p1 +1 x1 c4k3p1',
      'stream3 > 1 > stream1 > 2 > stream2 > 4 > stream1',
    ],
    // The image itself, read by every link.
    ['3x64x20: c3k3p1 c3k3p1 c3k3p1 +0 &1 c4k3p1', 'stream2 > 1 > stream1 > 2 > stream5'],
    // Links that read one tensor at different strides.
    [
      '3x64x20: c8k3p1 c8k3s2p1 @1 c8k5s2p2 +2 @1 m2s2 +3 c4k3p1',
      'stream2 > 1 > stream1 > 2 > stream2 > 4 > stream1',
    ],
    // Streams on both sides of a barrier.
    [
      '3x48x20: c8k3p1 c8k3p1 e c8k3p1 c4k3p1',
      'stream2 > 1 > stream1 | 2 | whole | 3 | stream2 > 4 > stream1',
    ],
    // Maps narrower than the kernel, and of one column.
    ['3x64x3: c4k7p3 c4k5p2 m5s1p2 c4k3p1', 'stream2 > 2 > stream1'],
    ['3x64x1: c4k3p1 c4k7p3 l c4k3p1', 'stream1 > 1 > stream3'],
    // Few rows at the end; a single one can't be streamed.
    ['3x64x32: m4s4 m4s4 c4k3p1', 'stream1 > 1 > stream1'],
    ['3x40x20: c8k3p1 m2s2 c8k3p1 m2s2 c8k10p0.3.0.3', 'stream1 > 2 > stream1 | 4 | whole'],
    // Windows wholly in padding, above and below.
    ['3x64x20: c4k2p5 c4k1p3 c4k3p4', 'stream2 > 1 > stream1'],
    // Strides that step over rows, and ones that upsampling made.
    ['3x90x12: c4k1s3 c4k2s3p1 u3 c4k3p1', 'stream1 > 1 > stream2'],
    // Ceil mode with an overhang, in the second link.
    ['3x67x15: c4k3p1 m3s2p1^ m2s2^ c4k3p1', 'stream1 > 1 > stream1'],
    // Transposed convolutions: without overlap, with overlap, cropped, with rows that only their border makes.
    ['3x40x12: c8k3p1 w8k2s2 c4k3p1 w4k4s2p1', 'stream2 > 2 > stream4'],
    ['3x40x12: c8k3s2p1 w8k3s2p1o1 c4k3p1 w4k5s3p3.1.0.2o2g4', 'stream2 > 2 > stream6'],
    // Interpolation (not in blocked order), mirrored borders, and averages that count their padding differently.
    ['3x40x12: c8k3p1 v2 c4k3p1 v4 c4k3p1', 'stream2 > 2 > stream8'],
    ['3x40x12: w4k3s1d2 c4k3 w4k1s2o1 c4k3p1', 'stream1 > 1 > stream2'],
    ['3x40x12: z3~ c8k7 z1= c4k3s2 i2 c4k1', 'stream1 > 2 > stream1'],
    ['3x41x13: c8k3p1 a3s2p1 a3p1 a3s2p1^ c4k1', 'stream2 > 2 > stream1'],
    // Rows that are stepped over or cropped, and a join with those that aren't.
    ['3x40x20: q2.0 @0 q2.1 &1 c8k3p1 z-2 c4k3', 'stream2 > 3 > stream2'],
    ['3x64x16: s2 c16k3p1 d2 z1 c4k3 f2 c4k5p2 h t *', 'stream1 > 2 > stream3 > 5 > stream2'],
  ] as const;
  for (const [at, [notation, planText]] of cases.entries()) {
    await context.test(`${notation} as ${planText}`, async () => {
      const settings = { threads: 1 + (at % 2), level: LEVELS[at % 3] ?? 'all' } as const;
      const plan = await assertExact(notation, planText, settings);
      assert.equal(plan.notation, planText);
    });
  }
});

test('a streamed run equals the whole run at every level, on one thread and two', async () => {
  const notation = '3x64x24: c8k3p1 l m2s2 c16k3p1 l ! c8k3p1 u2 &1 c8k3p1';
  for (const level of LEVELS) {
    for (const threads of [1, 2]) {
      await assertExact(notation, 'stream4 > 3 > stream1 > 5 > stream3', { threads, level });
    }
  }
});

test('a streamed run leaves nothing of a frame to the next', async () => {
  const graph = readyGraph('3x48x12: c8k3p1 m3s2p1 c8k5p2 ! u2 &1 c4k3p1');
  const settings = { threads: 1, level: 'extended' } as const;
  const [streamed, whole] = ['stream2 > 2 > stream1', 'whole'].map((plan) =>
    buildPlan(graph, parsePlan(plan), settings),
  );
  assert.ok(streamed && whole);
  const [first, second, again] = await runFrames(graph, streamed, [1, 2, 1]);
  const [reference] = await runFrames(graph, whole, [2]);
  assert.deepEqual(again, first);
  assert.notDeepEqual(second, first);
  assert.ok(verifyOutputs(second ?? [], reference ?? [], { bitExact: false }).exact);
});

test('a stream over rows that upsampling made along runs', async () => {
  await assertExact('3x60x12: u2 c4k1s3 c4k2', 'stream1', { threads: 1, level: 'extended' });
});

test('a step that is one window of an average pool rounds as promised', async () => {
  // ONNX Runtime averages a map as large as its kernel with other code, in another order.
  await assertExact('3x9x3: t a3', 'stream1', { threads: 1, level: 'extended' });
});

test('a sum that the untiled run takes into a blocked convolution rounds as promised', async () => {
  for (const [notation, plan] of [
    ['3x73x9: c4k1s1p0.0.0.0 c4k3p1g4 +1', 'stream1'],
    ['3x73x30: c16k3p1 c16k3p1 * +1', 'stream8'],
  ] as const)
    await assertExact(notation, plan, { threads: 1, level: 'all' });
});

test('rows of bytes are not carried: their range runs whole', async () => {
  const graph = castTwice();
  const settings = { threads: 1, level: 'extended' } as const;
  const [streamed, whole] = await Promise.all(
    ['stream4', 'whole'].map((text) => runFrames(graph, buildPlan(graph, parsePlan(text), settings), [1])),
  );
  assert.deepEqual(streamed, whole);
});

test('random graphs of many rows, streamed in links, equal the whole run', async () => {
  const seen = { runs: 0, long: 0, linked: 0 };
  const property = fc.asyncProperty(
    highGraphs,
    fc.array(fc.tuple(fc.nat(99), fc.integer({ min: 1, max: 5 })), { minLength: 1, maxLength: 4 }),
    fc.integer({ min: 1, max: 2 }),
    fc.constantFrom(...LEVELS),
    async ({ notation }, parts, threads, level) => {
      const text = linkedPlan(readyGraph(notation), parts);
      const plan = await assertExactOrRefused(notation, text, { threads, level });
      if (plan === undefined) return;
      const links = plan.segments.map(({ segment }) => (segment.kind === 'stream' ? segment.links : []));
      seen.runs += 1;
      seen.long += links.flat().some(({ stream }) => stream.middleSteps >= 3) ? 1 : 0;
      seen.linked += links.some(({ length }) => length > 1) ? 1 : 0;
    },
  );
  await fc.assert(property, { numRuns: Number(process.env.MAFAT_RUNS ?? 120) });
  assert.ok(seen.long > seen.runs / 2, `only ${seen.long} of ${seen.runs} have streams of many steps`);
  assert.ok(seen.linked > seen.runs / 4, `only ${seen.linked} of ${seen.runs} have linked streams`);
});

/** Bytes cast to floats for a pool, and cast once more for a sum that waits for the pool's rows. */
function castTwice(): Graph {
  const builder = new GraphBuilder();
  const map = { channels: 3, rows: 32, cols: 8 };
  const image = builder.addInput('image', [1, 3, 32, 8]);
  const cast = (layer: number) =>
    builder.addMap(layer, { op: 'Cast', inputs: [image], attributes: { to: 1 } }, map);
  const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] };
  const pooled = builder.addMap(1, { op: 'MaxPool', inputs: [cast(0).tensor], attributes }, map);
  const sum = builder.addMap(3, { op: 'Add', inputs: [pooled.tensor, cast(2).tensor] }, map);
  const graph = builder.build('bytes', [sum.tensor]);
  const tensors = graph.tensors.map((tensor, at) =>
    at === image ? { ...tensor, dtype: 'uint8' as const } : tensor,
  );
  return { ...graph, tensors };
}

/** Narrow graphs of up to 128 rows. Adding multiples of 64 rows keeps equally high maps equally high. */
const highGraphs = fc
  .tuple(randomGraph({ maxSize: 64, maxWords: 12 }), fc.integer({ min: 3, max: 14 }))
  .map(([{ notation }, cols]) => ({
    notation: notation.replace(/^3x(\d+)x\d+/, (_, rows) => `3x${Number(rows) + 64}x${cols}`),
  }))
  .filter(({ notation }) => isGraph(notation));

/** Linked streams, with cuts at random layers. */
function linkedPlan(graph: Graph, parts: readonly (readonly [number, number])[]): string {
  const layers = [...new Set(graph.nodes.map(({ layer }) => layer))].slice(1);
  const [[, first = 1] = [], ...rest] = parts;
  const cuts = new Map(rest.map(([choice, rows]) => [layers[choice % Math.max(1, layers.length)], rows]));
  return layers
    .filter((layer) => cuts.has(layer))
    .reduce((text, layer) => `${text} > ${layer} > stream${cuts.get(layer)}`, `stream${first}`);
}

/** Images of noise by seed, one after the other through one runner. */
async function runFrames(
  graph: Graph,
  plan: Plan,
  seeds: readonly number[],
): Promise<readonly (readonly OutputTensor[])[]> {
  const dtype = tensorAt(graph, graph.inputs[0] ?? -1).dtype === 'uint8' ? 'uint8' : 'float32';
  const input = { ...imageInputOf(graph), dtype } as const;
  const program = compilePlan(graph, plan, { folder: '.', input });
  const runner = await ProgramRunner.load(program, { onStep: () => undefined });
  const frames: (readonly OutputTensor[])[] = [];
  try {
    const { width, height, channels } = input;
    for (const seed of seeds) {
      const random = mulberry32(seed);
      const data = Uint8Array.from({ length: width * height * channels }, () => Math.floor(random() * 256));
      const outputs = await runner.run({ data, width, height });
      frames.push(outputs.map(packOutput));
    }
    return frames;
  } finally {
    await runner.unload();
  }
}
