import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawFrame } from '../../agent/camera/synthetic-camera.js';
import type {
  EngineModel,
  EngineOptions,
  ExecutorLoss,
  MeasuredRun,
} from '../../agent/engine/inference-engine.js';
import { InferenceEngine, WrongAnswerError } from '../../agent/engine/inference-engine.js';
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
      process.kill(pidOf(engine), 'SIGKILL');
      const again = await engine.infer('net', { source: FRAME, outputs: 'values' });
      assert.deepEqual(again.outputs, reference.outputs);
      assert.match(reasons[0] ?? '', /SIGKILL/);
    },
    { onReplaced: ({ message }) => reasons.push(message) },
  );
});

test('InferenceEngine replaces an executor that ends while nothing runs', async () => {
  const reasons: string[] = [];
  await withEngine(
    async (engine) => {
      const lost = (await engine.executor()).pid;
      process.kill(lost, 'SIGKILL');
      await until(() => reasons.length > 0);
      assert.notEqual(pidOf(engine), lost);
      assert.ok(engine.memory().residentBytes > 0);
    },
    { onReplaced: ({ message }) => reasons.push(message) },
  );
});

test('InferenceEngine notices an executor that hangs, idle or not, and loses no inference', async () => {
  const losses: string[] = [];
  await withEngine(
    async (engine) => {
      const model = modelOf('net', '3x64x64: c16k3p1 c16k3p1');
      engine.setPlan(model, planOf(model, '2x2'));
      await engine.infer('net', { source: FRAME, outputs: 'shapes' });
      process.kill(pidOf(engine), 'SIGSTOP');
      await engine.infer('net', { source: FRAME, outputs: 'shapes' });
      process.kill(pidOf(engine), 'SIGSTOP');
      await until(() => losses.length === 2);
    },
    { onReplaced: ({ reason }) => losses.push(reason) },
  );
  assert.deepEqual(losses, ['hung', 'hung']);
});

test('InferenceEngine verifies each plan before it serves, once', async () => {
  const verified: string[] = [];
  await withEngine(
    async (engine) => {
      const model = modelOf('net', '3x64x64: c16k3p1 c16k3p1');
      for (const notation of ['2x2', 'whole']) {
        engine.setPlan(model, planOf(model, notation));
        for (let run = 0; run < 2; run += 1) await engine.infer('net', { source: FRAME, outputs: 'shapes' });
      }
      assert.deepEqual(verified, ['2x2', 'whole']);
      await engine.check('net');
      await engine.checkBy('net', planOf(model, '3x3'));
      const { plan } = await engine.infer('net', { source: FRAME, outputs: 'shapes' });
      assert.equal(plan.notation, 'whole');
      assert.deepEqual(verified, ['2x2', 'whole', 'whole', '3x3']);
    },
    {
      verify: async (_model, plan, run) => {
        assert.equal((await run({ source: FRAME, outputs: 'values' })).outputs.length, 1);
        verified.push(plan.notation);
      },
    },
  );
});

test('InferenceEngine replaces an executor whose plan answers wrongly, and takes what the planner chose since', async () => {
  const losses: string[] = [];
  let onLost = (): void => undefined;
  await withEngine(
    async (engine) => {
      const model = modelOf('net', '3x64x64: c16k3p1 c16k3p1');
      engine.setPlan(model, planOf(model, '2x2'));
      const { pid } = await engine.executor();
      onLost = () => engine.setPlan(model, planOf(model, '3x3'));
      const { plan } = await engine.infer('net', { source: FRAME, outputs: 'shapes' });
      assert.equal(plan.notation, '3x3');
      assert.notEqual(pidOf(engine), pid);
      assert.deepEqual(losses, ['wrong']);
    },
    {
      onLost: ({ error }) => {
        losses.push(error.reason);
        onLost();
      },
      verify: async (_model, { notation }) => {
        if (notation === '2x2') throw new WrongAnswerError('values differ');
      },
    },
  );
});

test('InferenceEngine measures each run', async () => {
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
          ['net', 'whole'],
          ['net', '2x2'],
          ['net', '2x2'],
        ],
      );
      for (const { workingBytes, latencyMs } of measured) assert.ok(workingBytes > 0 && latencyMs > 0);
    },
    { onMeasured: (run) => measured.push(run) },
  );
});

test('InferenceEngine gives memory back at once when a smaller plan comes and nothing runs', async () => {
  await withEngine(async (engine) => {
    const model = modelOf('net', '3x512x512: c32k3p1 c32k3p1');
    engine.setPlan(model, planOf(model, 'whole'));
    for (let run = 0; run < 3; run += 1) await engine.infer('net', { source: FRAME, outputs: 'shapes' });
    const { privateBytes: held, idleBytes } = engine.memory();
    engine.setPlan(model, planOf(model, '8x8'));
    await until(() => engine.counts.upkeep.done === 1);
    const { privateBytes: left } = engine.memory();
    assert.ok(left - idleBytes < (held - idleBytes) / 2 || left - idleBytes < 8 * 2 ** 20);
    const { plan } = await engine.infer('net', { source: FRAME, outputs: 'shapes' });
    assert.equal(plan.notation, '8x8');
  });
});

test('InferenceEngine runs an input again by the smaller plan when the budget does not bear the run', async () => {
  await withEngine(async (engine) => {
    const model = modelOf('net', '3x512x512: c32k3p1 c32k3p1');
    engine.setPlan(model, planOf(model, '2x2'));
    const reference = await engine.infer('net', { source: FRAME, outputs: 'values' });
    const running = engine.infer('net', { source: FRAME, outputs: 'values' });
    await until(() => engine.counts.request.running === 1);
    const smaller = planOf(model, '8x8');
    const { workingBytes, weightsBytes } = smaller.predicted;
    engine.setPlan(model, smaller, { budgetBytes: workingBytes, promisedBytes: workingBytes, weightsBytes });
    const { plan, outputs } = await running;
    assert.equal(plan.notation, '8x8');
    assert.deepEqual(outputs, reference.outputs);
  });
});

test('InferenceEngine ends its executor when all models are suspended, and starts one when one is resumed', async () => {
  await withEngine(async (engine) => {
    const first = modelOf('first', '3x32x32: c8k3p1');
    const second = modelOf('second', '3x16x16: c4k3p1');
    for (const model of [first, second]) engine.setPlan(model, planOf(model, 'whole'));
    await engine.infer('first', { source: FRAME, outputs: 'shapes' });
    const { pid } = engine.memory();
    engine.suspend('first');
    await until(() => engine.counts.upkeep.done === 1);
    assert.equal(engine.memory().pid, pid, 'the other model may run');
    await assert.rejects(engine.infer('first', { source: FRAME, outputs: 'shapes' }), BusyError);
    await engine.infer('second', { source: FRAME, outputs: 'shapes' });
    engine.suspend('second');
    await until(() => engine.memory().pid === null);
    engine.resume('first');
    assert.equal((await engine.infer('first', { source: FRAME, outputs: 'shapes' })).outputs.length, 1);
  });
});

test('InferenceEngine lends the place of its executor', async () => {
  await withEngine(async (engine) => {
    const model = modelOf('net', '3x32x32: c8k3p1');
    engine.setPlan(model, planOf(model, 'whole'));
    await engine.infer('net', { source: FRAME, outputs: 'shapes' });
    assert.equal(await engine.lend(async () => engine.memory().pid), null);
    assert.equal((await engine.infer('net', { source: FRAME, outputs: 'shapes' })).outputs.length, 1);
  });
});

test('InferenceEngine ends the work in the place of its executor when it stops', async () => {
  await withEngine(async (engine) => {
    const lent = engine.lend(
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
    );
    await Promise.all([assert.rejects(lent, /the node is stopping/), engine.stop()]);
  });
});

test('InferenceEngine says by which plan its executor was lost, and tries by the next one', async () => {
  const losses: ExecutorLoss[] = [];
  await withEngine(
    async (engine) => {
      const model = modelOf('net', '3x512x512: c32k3p1 c32k3p1');
      engine.setPlan(model, planOf(model, '2x2'));
      await engine.infer('net', { source: FRAME, outputs: 'shapes' });
      const running = engine.infer('net', { source: FRAME, outputs: 'shapes' });
      await until(() => engine.counts.request.running === 1);
      engine.setPlan(model, planOf(model, 'whole'));
      process.kill(pidOf(engine), 'SIGKILL');
      assert.equal((await running).plan.notation, 'whole');
      assert.deepEqual(
        losses.map(({ model: name, plan }) => [name, plan?.notation]),
        [['net', '2x2']],
      );
    },
    { onLost: (loss) => losses.push(loss) },
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
  engine.start();
  try {
    await work(engine);
  } finally {
    await engine.stop();
  }
}

function pidOf(engine: InferenceEngine): number {
  return engine.memory().pid ?? assert.fail('there is no executor');
}

function modelOf(name: string, notation: string): EngineModel {
  const graph = graphOf(notation);
  return { name, graph, folder: '.', input: imageInputOf(graph) };
}

function planOf(model: EngineModel, notation: string): Plan {
  return buildPlan(model.graph, parsePlan(notation), { threads: 1, level: 'extended' });
}
