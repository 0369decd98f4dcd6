/** Runs of one program after another. Released buffers aren't read again, and outputs are kept for the caller. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ProgramRunner, packOutput } from '../../agent/engine/child/program-runner.js';
import { compilePlan } from '../../agent/engine/compile/compile.js';
import { ExecutorClient } from '../../agent/engine/executor-client.js';
import { buildPlan, parsePlan } from '../../shared/search/index.js';
import { isReleasing, pixelsOf, TURNS_GRAPH, TURNS_INPUT, TURNS_PLANS, tensorOf } from './turns.js';

test('ExecutorClient gives the same for the same input, whatever ran before', () => {
  const script = fileURLToPath(new URL('./executor-turns.js', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
});

test('ExecutorClient is started with what release() needs', async () => {
  const executor = new ExecutorClient();
  try {
    await executor.start();
    assert.ok(isReleasing(executor));
  } finally {
    await executor.stop();
  }
});

test('ProgramRunner.run() releases its input, but not its outputs', async () => {
  const settings = { level: 'extended', allocator: 'glibc', threads: 1 } as const;
  const { width, height } = TURNS_INPUT;
  const values = new Uint8Array(tensorOf(4).bytes);
  for (const plan of TURNS_PLANS) {
    const planned = buildPlan(TURNS_GRAPH, parsePlan(plan), settings);
    const program = compilePlan(TURNS_GRAPH, planned, { folder: '.', input: TURNS_INPUT });
    const runner = await ProgramRunner.load(program, { onStep: () => undefined });
    const { bytes: image } = pixelsOf(1);
    const outputs = await runner.run({ data: image, width, height });
    assert.equal(image.length, 0, plan);
    const packed = () => outputs.map(packOutput);
    const before = structuredClone(packed());
    for (let turn = 0; turn < 2; turn += 1) {
      const data = new Float32Array(values.slice().buffer);
      await runner.run({ dtype: 'float32', shape: [1, 3, height, width], data });
      assert.equal(data.length, 0, plan);
    }
    assert.deepEqual(packed(), before, plan);
    await runner.unload();
  }
});
