import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ExecutorGroup } from '../../agent/board/executor-group.js';
import { limitFor } from '../../agent/board/executor-limit.js';
import { compilePlan } from '../../agent/engine/compile/compile.js';
import type { ExecutorOptions } from '../../agent/engine/executor-client.js';
import { ExecutorClient, ExecutorError } from '../../agent/engine/executor-client.js';
import type { EndReason } from '../../agent/engine/executor-end.js';
import type { Program } from '../../agent/engine/wire/protocol.js';
import { buildPlan, parsePlan } from '../../shared/search/index.js';
import { NO_REAL_GROUP, realGroup } from '../board/real-group.js';
import { smallPng } from '../fixtures.js';
import { graphOf } from '../notation.js';
import { imageInputOf } from '../run-in-process.js';

const SETTINGS = { threads: 1, level: 'extended' } as const;

const noise = await smallPng({ width: 24, height: 20 });
const image = { kind: 'bytes', name: 'noise', bytes: noise } as const;

test('ExecutorClient answers runs with outputs and gives the same for the same image', async () => {
  await withExecutor(async (executor) => {
    await executor.ask({ kind: 'load', program: programOf('3x32x32: c8k3p1 m2s2 c8k3p1', '2x2') });
    const first = await run(executor);
    const second = await run(executor);
    assert.deepEqual(first.image, { width: 24, height: 20 });
    assert.deepEqual(first.outputs, second.outputs);
    assert.deepEqual(first.outputs[0]?.shape, [1, 8, 16, 16]);
  });
});

test('ExecutorClient reports progress between steps', async () => {
  await withExecutor(async (executor) => {
    await executor.ask({ kind: 'load', program: programOf('3x64x64: c32k7p3 c32k7p3', '8x8') });
    const seen: string[] = [];
    const onProgress = (step: number, steps: number) => seen.push(`${step}/${steps}`);
    await executor.ask({ kind: 'run', image: image, outputs: 'shapes' }, { onProgress });
    assert.ok(seen.every((text) => text.endsWith('/64')));
    assert.ok(seen.length > 0);
  });
});

test('ExecutorClient runs on an input tensor as on the image it is made of, and refuses one of another shape', async () => {
  await withExecutor(async (executor) => {
    await executor.ask({ kind: 'load', program: programOf('3x32x32: c8k3p1 m2s2 c8k3p1', '2x2') });
    const values = Float32Array.from({ length: 3 * 32 * 32 }, (_, at) => Math.sin(at));
    const tensor = {
      kind: 'tensor',
      dtype: 'float32',
      shape: [1, 3, 32, 32],
      bytes: new Uint8Array(values.buffer),
    } as const;
    const { outputs, image: size } = await executor.ask({ kind: 'run', image: tensor, outputs: 'values' });
    assert.deepEqual([outputs[0]?.shape, size], [[1, 8, 16, 16], { width: 32, height: 32 }]);
    const wrong = executor.ask({
      kind: 'run',
      image: { ...tensor, shape: [1, 3, 16, 64] },
      outputs: 'shapes',
    });
    await assert.rejects(wrong, /float32 tensor of \[1, 3, 16, 64\]: expected float32 \[1, 3, 32, 32\]/);
  });
});

test('ExecutorClient refuses a run before a load and stays usable', async () => {
  await withExecutor(async (executor) => {
    await assert.rejects(run(executor), /Cannot run: no program is loaded/);
    await executor.ask({ kind: 'load', program: programOf('3x16x16: c4k3p1', 'whole') });
    assert.equal((await run(executor)).outputs.length, 1);
  });
});

test('ExecutorClient passes on why a model cannot be loaded', async () => {
  await withExecutor(async (executor) => {
    const program = programOf('3x16x16: c4k3p1', 'whole');
    const broken = program.segments.map((segment) => ({
      ...segment,
      sessions: segment.sessions.map((session) => ({ ...session, model: new Uint8Array(3) })),
    }));
    await assert.rejects(
      executor.ask({ kind: 'load', program: { ...program, segments: broken } }),
      /protobuf|model/i,
    );
  });
});

test('ExecutorClient is lost when its process is killed, and says so to all later requests', async () => {
  const executor = new ExecutorClient();
  const before = children();
  await executor.start();
  const pid = children().find((child) => !before.includes(child)) ?? 0;
  await executor.ask({ kind: 'load', program: programOf('3x64x64: c32k7p3 c32k7p3 c32k7p3', '8x8') });
  const running = run(executor);
  process.kill(pid, 'SIGKILL');
  // Without a group, a kill for want of memory anywhere on this machine meanwhile can't be told from this one.
  await assert.rejects(running, lostBy('killed', 'out-of-memory'));
  await assert.rejects(run(executor), ExecutorError);
  await executor.stop();
  assert.ok(lostBy('killed', 'out-of-memory')(executor.endedBy));
});

test('ExecutorClient is over its limit when its run takes more than its group may', {
  skip: NO_REAL_GROUP,
}, async (context) => {
  const group = ExecutorGroup.create(realGroup(context));
  context.after(() => group.remove());
  await withExecutor(
    async (executor) => {
      await executor.ask({ kind: 'load', program: programOf('3x16x16: c4k3p1', 'whole') });
      const { idleBytes } = executor;
      assert.ok(group.setLimit(limitFor({ idleBytes, workingBytes: 8 * 2 ** 20, weightsBytes: 0 })));
      await run(executor);
      // One map of 32 x 1024 x 1024 floats is 128 MB.
      await executor.ask({ kind: 'load', program: programOf('3x1024x1024: c32k1 m2s2', 'whole') });
      await assert.rejects(run(executor), lostBy('over-limit'));
    },
    { group },
  );
  await withExecutor(
    async (executor) => {
      process.kill(executor.pid, 'SIGKILL');
      await assert.rejects(run(executor), lostBy('killed'));
    },
    { group },
  );
});

test('ExecutorClient is killed when a request is aborted or passes its deadline', async () => {
  const slow = programOf('3x128x128: c64k7p3 c64k7p3 c64k7p3', 'whole');
  await withExecutor(async (executor) => {
    await executor.ask({ kind: 'load', program: slow });
    const signal = AbortSignal.timeout(1);
    process.kill(executor.pid, 'SIGSTOP');
    await assert.rejects(
      executor.ask({ kind: 'run', image: image, outputs: 'shapes' }, { signal }),
      /aborted|Timeout/i,
    );
    assert.equal(executor.endedBy?.reason, 'aborted');
  });
  await withExecutor(async (executor) => {
    await executor.ask({ kind: 'load', program: slow });
    const request = { kind: 'run', image: image, outputs: 'shapes' } as const;
    process.kill(executor.pid, 'SIGSTOP');
    await assert.rejects(executor.ask(request, { deadlineMs: 1 }), /no sign of life for 1 ms/);
    assert.equal(executor.endedBy?.reason, 'hung');
  });
});

test('ExecutorClient finishes its run when the whole process group is asked to end', async () => {
  await withExecutor(async (executor) => {
    await executor.ask({ kind: 'load', program: programOf('3x32x32: c8k3p1', '2x2') });
    const running = run(executor);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(executor.pid, signal);
    assert.equal((await running).outputs.length, 1);
    const adjusted = (pid: number | 'self') => Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'));
    assert.ok(adjusted(executor.pid) > adjusted('self'), 'the kernel kills it before the agent');
  });
});

test('ExecutorClient.stop() ends the process and may be called again', async () => {
  const before = children();
  const executor = new ExecutorClient();
  await executor.start();
  assert.ok(!lostBy('stopped')(executor.endedBy));
  await executor.stop();
  await executor.stop();
  assert.ok(lostBy('stopped')(executor.endedBy));
  assert.deepEqual(children(), before);
});

test('PeakMeter measures what a run takes above idle', async () => {
  await withExecutor(async (executor) => {
    const meter = executor.createMeter();
    meter.start();
    // One map of 32 x 512 x 512 floats is 32 MB.
    await executor.ask({ kind: 'load', program: programOf('3x512x512: c32k1 m2s2', 'whole') });
    await run(executor);
    const bytes = meter.stop();
    assert.ok(bytes > 32 * 2 ** 20 && bytes < 64 * 2 ** 20, `${bytes}`);
  });
});

/** Whether an error says that the executor was lost for one of these reasons. */
function lostBy(...reasons: readonly EndReason[]): (error: unknown) => boolean {
  return (error) => error instanceof ExecutorError && reasons.includes(error.reason);
}

async function withExecutor(
  work: (executor: ExecutorClient) => Promise<void>,
  options?: ExecutorOptions,
): Promise<void> {
  const executor = new ExecutorClient(undefined, options);
  try {
    await executor.start();
    await work(executor);
  } finally {
    await executor.stop();
  }
}

function programOf(notation: string, plan: string): Program {
  const graph = graphOf(notation);
  const planned = buildPlan(graph, parsePlan(plan), SETTINGS);
  return compilePlan(graph, planned, { folder: '.', input: imageInputOf(graph), ...SETTINGS });
}

async function run(executor: ExecutorClient) {
  return executor.ask({ kind: 'run', image: image, outputs: 'values' });
}

/** Process ids of this process's children. */
function children(): readonly number[] {
  const tasks = readdirSync('/proc/self/task');
  return tasks.flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
  );
}
