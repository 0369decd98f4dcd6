import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawFrame } from '../../agent/camera/synthetic-camera.js';
import type { EngineModel } from '../../agent/engine/inference-engine.js';
import { BusyError, InferenceEngine } from '../../agent/engine/inference-engine.js';
import type { Plan } from '../../shared/index.js';
import { buildPlan, parsePlan } from '../../shared/index.js';
import { graphOf } from '../notation.js';
import { imageInputOf } from '../run-in-process.js';

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
      const { plan, outputs } = await engine.infer(name, FRAME, 'values');
      assert.deepEqual([plan.notation, outputs[0]?.shape], [notation, shape]);
    }
  });
});

test('InferenceEngine takes a new plan from the next inference on and loses none', async () => {
  await withEngine(async (engine) => {
    const model = modelOf('net', '3x64x64: c16k3p1 c16k3p1');
    engine.setPlan(model, planOf(model, 'whole'));
    const before = engine.infer('net', FRAME, 'values');
    engine.setPlan(model, planOf(model, '3x3'));
    const after = engine.infer('net', FRAME, 'values');
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
      const reference = await engine.infer('net', FRAME, 'values');
      process.kill(engine.executor().pid, 'SIGKILL');
      const again = await engine.infer('net', FRAME, 'values');
      assert.deepEqual(again.outputs, reference.outputs);
      assert.match(reasons[0] ?? '', /SIGKILL/);
    },
    (reason) => reasons.push(reason),
  );
});

test('InferenceEngine refuses more inferences than may wait, unknown models, and all once it is stopped', async () => {
  await withEngine(async (engine) => {
    const model = modelOf('net', '3x64x64: c16k3p1');
    engine.setPlan(model, planOf(model, 'whole'));
    const accepted = Array.from({ length: 4 }, () => engine.infer('net', FRAME, 'shapes'));
    await assert.rejects(engine.infer('net', FRAME, 'shapes'), BusyError);
    await Promise.all(accepted);
    await assert.rejects(engine.infer('other', FRAME, 'shapes'), /"other": it has no plan/);
    await engine.stop();
    await assert.rejects(engine.infer('net', FRAME, 'shapes'), BusyError);
  });
});

test('InferenceEngine goes on after an input that cannot be used', async () => {
  await withEngine(async (engine) => {
    const model = modelOf('net', '3x32x32: c4k3p1');
    engine.setPlan(model, planOf(model, 'whole'));
    const broken = { kind: 'bytes', name: 'broken', bytes: new Uint8Array(10) } as const;
    await assert.rejects(engine.infer('net', broken, 'shapes'), /Cannot read image broken/);
    assert.equal((await engine.infer('net', FRAME, 'shapes')).outputs.length, 1);
    assert.ok(engine.memory().privateBytes > 0);
  });
});

async function withEngine(
  work: (engine: InferenceEngine) => Promise<void>,
  onReplaced: (reason: string) => void = () => undefined,
): Promise<void> {
  const engine = new InferenceEngine({ maxWaiting: 4, onReplaced });
  await engine.start();
  try {
    await work(engine);
  } finally {
    await engine.stop();
  }
}

function modelOf(name: string, notation: string): EngineModel {
  const graph = graphOf(notation);
  return { name, graph, folder: '.', input: imageInputOf(graph), threads: 1, level: 'extended' };
}

function planOf(model: EngineModel, notation: string): Plan {
  return buildPlan(model.graph, parsePlan(notation), model);
}
