import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawFrame } from '../../agent/camera/synthetic-camera.js';
import type { EngineModel, EngineOptions, MeasuredRun } from '../../agent/engine/inference-engine.js';
import { InferenceEngine } from '../../agent/engine/inference-engine.js';
import { BusyError } from '../../agent/engine/request-queue.js';
import type { Plan } from '../../shared/search/index.js';
import { buildPlan, parsePlan } from '../../shared/search/index.js';
import { graphOf } from '../notation.js';
import { imageInputOf } from '../run-in-process.js';
import { until } from '../start-agent.js';

const FRAME = {
  kind: 'pixels',
  name: 'frame',
  width: 40,
  height: 30,
  bytes: drawFrame(1, { width: 40, height: 30 }),
} as const;

test('InferenceEngine runs several models, each by its plan', async () => {
  await withEngine(async (engine) => {
    const first = modelOf('first', '3x32x32: c8k3p1');
    const second = modelOf('second', '3x16x16: c4k3p1 m2s2');
    engine.setPlan(first, planOf(first, '2x2'));
    engine.setPlan(second, planOf(second, 'whole'));
    for (const [name, notation, shape] of [
      ['first', '2x2', [1, 8, 32, 32]],
      ['second', 'whole', [1, 4, 8, 8]],
      ['first', '2x2', [1, 8, 32, 32]],
    ] as const) {
      const { plan, outputs } = await engine.infer(name, { source: FRAME, outputs: 'values' });
      assert.deepEqual([plan.notation, outputs[0]?.shape], [notation, shape]);
    }
  });
});

test('InferenceEngine takes a new plan from the next inference on and loses none', async () => {
  await withEngine(async (engine) => {
    const model = modelOf('net', '3x64x64: c16k3p1 c16k3p1');
    engine.setPlan(model, planOf(model, 'whole'));
    const before = engine.infer('net', { source: FRAME, outputs: 'values' });
    engine.setPlan(model, planOf(model, '3x3'));
    const after = engine.infer('net', { source: FRAME, outputs: 'values' });
    assert.deepEqual((await before).outputs, (await after).outputs);
    assert.equal((await after).plan.notation, '3x3');
  });
});

test('InferenceEngine replaces an executor that was killed and tries the inference once more', async () => {
  const reasons: string[] = [];
  await withEngine(
    async (engine) => {
      const model = modelOf('net', '3x64x64: c16k3p1 c16k3p1');
      engine.setPlan(model, planOf(model, '2x2'));
      const reference = await engine.infer('net', { source: FRAME, outputs: 'values' });
      process.kill(engine.executor().pid, 'SIGKILL');
      const again = await engine.infer('net', { source: FRAME, outputs: 'values' });
      assert.deepEqual(again.outputs, reference.outputs);
      assert.match(reasons[0] ?? '', /SIGKILL/);
    },
    { onReplaced: (reason) => reasons.push(reason) },
  );
});

test('InferenceEngine replaces an executor that ends while nothing runs', async () => {
  const reasons: string[] = [];
  await withEngine(
    async (engine) => {
      const lost = engine.executor().pid;
      process.kill(lost, 'SIGKILL');
      await until(() => reasons.length > 0);
      assert.notEqual(engine.executor().pid, lost);
      assert.ok(engine.memory().residentBytes > 0);
    },
    { onReplaced: (reason) => reasons.push(reason) },
  );
});

test('InferenceEngine measures the first run of each plan', async () => {
  const measured: MeasuredRun[] = [];
  await withEngine(
    async (engine) => {
      const model = modelOf('net', '3x256x256: c32k3p1 c32k3p1');
      for (const notation of ['whole', '2x2']) {
        engine.setPlan(model, planOf(model, notation));
        for (let run = 0; run < 2; run += 1) await engine.infer('net', { source: FRAME, outputs: 'shapes' });
      }
      assert.deepEqual(
        measured.map(({ model: name, plan }) => [name, plan.notation]),
        [
          ['net', 'whole'],
          ['net', '2x2'],
        ],
      );
      for (const { workingBytes, latencyMs } of measured) assert.ok(workingBytes > 0 && latencyMs > 0);
    },
    { onMeasured: (run) => measured.push(run) },
  );
});

test('InferenceEngine loads no model whose files have changed', async () => {
  await withEngine(async (engine) => {
    const checkFiles = () => {
      throw new Error('model "net" was changed');
    };
    const model = { ...modelOf('net', '3x16x16: c4k3p1'), checkFiles };
    engine.setPlan(model, planOf(model, 'whole'));
    await assert.rejects(engine.infer('net', { source: FRAME, outputs: 'shapes' }), /"net" was changed/);
  });
});

test('InferenceEngine refuses more inferences than may wait, unknown models, and all once it is stopped', async () => {
  await withEngine(async (engine) => {
    const model = modelOf('net', '3x64x64: c16k3p1');
    engine.setPlan(model, planOf(model, 'whole'));
    const accepted = Array.from({ length: 4 }, () =>
      engine.infer('net', { source: FRAME, outputs: 'shapes' }),
    );
    await assert.rejects(engine.infer('net', { source: FRAME, outputs: 'shapes' }), BusyError);
    await Promise.all(accepted);
    await assert.rejects(
      engine.infer('other', { source: FRAME, outputs: 'shapes' }),
      /"other": it has no plan/,
    );
    await engine.stop();
    await assert.rejects(engine.infer('net', { source: FRAME, outputs: 'shapes' }), BusyError);
  });
});

test('InferenceEngine goes on after an input that cannot be used', async () => {
  await withEngine(async (engine) => {
    const model = modelOf('net', '3x32x32: c4k3p1');
    engine.setPlan(model, planOf(model, 'whole'));
    const broken = { kind: 'bytes', name: 'broken', bytes: new Uint8Array(10) } as const;
    await assert.rejects(
      engine.infer('net', { source: broken, outputs: 'shapes' }),
      /Cannot read image broken/,
    );
    assert.equal((await engine.infer('net', { source: FRAME, outputs: 'shapes' })).outputs.length, 1);
    assert.ok(engine.memory().privateBytes > 0);
  });
});

async function withEngine(
  work: (engine: InferenceEngine) => Promise<void>,
  events: Partial<EngineOptions> = {},
): Promise<void> {
  const engine = new InferenceEngine({ maxWaiting: 4, onReplaced: () => undefined, ...events });
  await engine.start();
  try {
    await work(engine);
  } finally {
    await engine.stop();
  }
}

function modelOf(name: string, notation: string): EngineModel {
  const graph = graphOf(notation);
  return { name, graph, folder: '.', input: imageInputOf(graph) };
}

function planOf(model: EngineModel, notation: string): Plan {
  return buildPlan(model.graph, parsePlan(notation), { threads: 1, level: 'extended' });
}
