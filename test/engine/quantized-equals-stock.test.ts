/** Quantised networks equal stock ONNX Runtime on the same file bit for bit, whole, in tiles and in streams. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { verifyOutputs } from '../../agent/cli/verify-outputs.js';
import type { ExecutorClient } from '../../agent/engine/executor-client.js';
import { startExecutor } from '../../agent/engine/executor-client.js';
import type { OutputTensor } from '../../agent/engine/wire/protocol.js';
import type { Graph } from '../../shared/graph/index.js';
import { foldChannelAffine, foldPads } from '../../shared/graph/index.js';
import type { Level } from '../../shared/predict/index.js';
import { buildPlan, InexactPlanError, parsePlan } from '../../shared/search/index.js';
import { temporaryFolder } from '../fixtures.js';
import { graphOf } from '../notation.js';
import type { QuantizeOptions } from '../quantize-graph.js';
import { quantizeGraph } from '../quantize-graph.js';
import type { StockSettings, StoredNetwork } from '../quantized-network.js';
import { runPlan, runStock, storeGraph } from '../quantized-network.js';
import { randomGraph } from '../random-graph.js';
import { measureRanges } from '../value-ranges.js';

const LEVELS: readonly Level[] = ['extended', 'all'];

let executor: ExecutorClient;
before(async () => {
  executor = await startExecutor();
});
after(() => executor.stop());

type Form = Omit<QuantizeOptions, 'ranges'>;

async function quantized(notation: string, form: Form): Promise<Graph> {
  const graph = foldPads(foldChannelAffine(graphOf(notation)));
  return quantizeGraph(graph, { ...form, ranges: await measureRanges(graph) });
}

function isConstant({ bytes = new Uint8Array() }: OutputTensor): boolean {
  const values = new Float32Array(Uint8Array.from(bytes).buffer);
  return values.every((value) => value === values[0]);
}

/** Asserts that a plan gives what stock ONNX Runtime gives. @returns what the plan really is. */
async function assertEqual(stored: StoredNetwork, text: string, settings: StockSettings): Promise<string> {
  const plan = buildPlan(stored.network.graph, parsePlan(text), settings);
  const [outputs, reference] = [await runPlan(stored, plan), await runStock(stored, settings)];
  if (reference.some(isConstant)) return plan.notation;
  // What follows the last quantiser in floats keeps the law of floats.
  const bitExact = plan.segments.every(({ prediction }) => prediction.bitExact);
  const result = verifyOutputs(outputs, reference, { bitExact });
  assert.ok(result.exact, `${plan.notation} at ${settings.level}: ${JSON.stringify(result)}`);
  return plan.notation;
}

const FORMS: Readonly<Record<string, Form>> = {
  uint8: {},
  'uint8 by channel': { perChannel: true },
  int8: { activations: 'int8', perChannel: true },
  'uint8 with other biases': { biasFactor: 1.5 },
  'some floats': { perChannel: true, isFloat: (_, at) => at % 4 === 3 },
};

test('quantised networks equal stock ONNX Runtime whole, in tiles and in streams', async (context) => {
  const notation = '3x48x40: c12k3s2p1 r c12k3p1 t x2 c24k1 l m3s2p1 c24k3p1g24 +8 &8 u2 c8k1 c8k3p1 a2s2';
  for (const [name, form] of Object.entries(FORMS)) {
    await context.test(name, async (inner) => {
      const stored = await storeGraph(await quantized(notation, form), {
        folder: temporaryFolder(inner),
        executor,
      });
      for (const level of LEVELS)
        for (const text of ['whole', '2x2', 'stream2', '1x2:stream1'])
          await assertEqual(stored, text, { level, threads: 1 });
    });
  }
});

/** A plan of some modes with cuts between. Streams that follow each other are linked. */
function planText(graph: Graph, modes: readonly (readonly [string, number])[]): string {
  const layers = [...new Set(graph.nodes.map(({ layer }) => layer))].slice(1);
  const [[first] = ['whole'], ...rest] = modes;
  const cuts = new Map(rest.map(([mode, at]) => [layers[at % Math.max(1, layers.length)], mode]));
  let [text, before] = [first, first];
  for (const layer of layers) {
    const mode = cuts.get(layer);
    if (mode === undefined) continue;
    const joint = before.startsWith('stream') && mode.startsWith('stream') ? '>' : '|';
    text = `${text} ${joint} ${layer} ${joint} ${mode}`;
    before = mode;
  }
  return text;
}

const modes = fc.constantFrom('2x2', '3x1', 'stream1', 'stream3', '1x2:stream2', '1x3', 'whole');

test('random quantised networks equal stock ONNX Runtime in random plans', async (context) => {
  const folder = temporaryFolder(context);
  const seen = { runs: 0, parted: 0, refused: 0 };
  const property = fc.asyncProperty(
    randomGraph({ maxSize: 64, maxWords: 10 }),
    fc.constantFrom(...Object.keys(FORMS)),
    fc.array(fc.tuple(modes, fc.nat(99)), { minLength: 1, maxLength: 4 }),
    fc.constantFrom(...LEVELS),
    fc.integer({ min: 1, max: 2 }),
    async ({ notation }, form, parts, level, threads) => {
      const graph = await quantized(notation, FORMS[form] ?? {});
      const stored = await storeGraph(graph, { folder, executor });
      seen.runs += 1;
      try {
        const text = planText(stored.network.graph, parts);
        seen.parted += (await assertEqual(stored, text, { level, threads })) === 'whole' ? 0 : 1;
      } catch (error) {
        if (!(error instanceof InexactPlanError)) throw error;
        seen.refused += 1;
      }
    },
  );
  await fc.assert(property, { numRuns: Number(process.env.MAFAT_RUNS ?? 60) });
  assert.ok(
    seen.parted > seen.runs / 2,
    `${seen.parted} of ${seen.runs} were parted, ${seen.refused} refused`,
  );
  context.diagnostic(JSON.stringify(seen));
});
