import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { ChildOptions, Role } from '../../agent/board/disposable-child.js';
import { forkDisposable, oomScoreOf } from '../../agent/board/disposable-child.js';
import { ExecutorGroup } from '../../agent/board/executor-group.js';
import { fakeTree, MB } from './fake-tree.js';
import { NO_REAL_GROUP, realGroup } from './real-group.js';

const SCRIPT = new URL('./hungry-process.js', import.meta.url);

interface Greeting {
  readonly score: string;
  readonly flags: readonly string[];
}

test('forkDisposable() sets the score before the first line of the script runs', async (context) => {
  const scores = new Map<Role, number>();
  for (const role of ['executor', 'planner'] as const) {
    const { greeting } = await forkHungry(context, { role });
    assert.equal(Number(greeting.score), oomScoreOf(role));
    scores.set(role, Number(greeting.score));
  }
  const own = Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
  const [executor = 0, planner = 0] = [scores.get('executor'), scores.get('planner')];
  assert.ok(executor > planner && planner > own, `${executor} ${planner} ${own}`);
});

test('forkDisposable() gives flags and environment, and a channel of typed arrays', async (context) => {
  const env = { ...process.env, MAFAT_TEST: 'x' };
  const { child, greeting } = await forkHungry(context, { role: 'planner', execArgv: ['--expose-gc'], env });
  assert.deepEqual(greeting.flags, ['--expose-gc']);
  assert.match(readFileSync(`/proc/${child.pid}/environ`, 'utf8'), /MAFAT_TEST=x/);
  child.send(1);
  assert.deepEqual(await once(child, 'message').then(([answer]) => answer), new Uint8Array([1]));
});

test('forkDisposable() gives the pid of the script itself, so that a kill ends it', async (context) => {
  const { child } = await forkHungry(context, { role: 'executor' });
  assert.match(readFileSync(`/proc/${child.pid}/cmdline`, 'utf8'), /hungry-process\.js/);
  child.kill('SIGKILL');
  const [code, signal] = (await once(child, 'exit')) as [number | null, string];
  assert.deepEqual([code, signal], [null, 'SIGKILL']);
});

test('forkDisposable() runs the script in the old group when the new one is absent', async (context) => {
  const { greeting } = await forkHungry(context, {
    role: 'executor',
    procsFile: '/nonexistent/cgroup.procs',
  });
  assert.equal(greeting.score, '1000');
});

test('oomScoreOf() puts the planner half-way between the agent and the executor, never below the agent', (context) => {
  const rootOf = (score: string) => fakeTree(context, { 'proc/self/oom_score_adj': score });
  const scores = (score: string) =>
    (['executor', 'planner'] as const).map((role) => oomScoreOf(role, rootOf(score)));
  assert.deepEqual(scores('0\n'), [1000, 500]);
  assert.deepEqual(scores('100\n'), [1000, 550]);
  assert.deepEqual(scores('-900\n'), [1000, 50]);
  assert.deepEqual(scores('1000\n'), [1000, 1000]);
  assert.equal(oomScoreOf('planner', '/nonexistent'), 500);
});

test('forkDisposable() makes the kernel kill the executor before a planner that is twice as large', {
  skip: NO_REAL_GROUP,
}, async (context) => {
  const group = ExecutorGroup.create(realGroup(context));
  const { procsFile } = group;
  const { child: executor } = await forkHungry(context, { role: 'executor', procsFile });
  const { child: planner } = await forkHungry(context, { role: 'planner', procsFile });
  executor.send(20);
  await once(executor, 'message');
  planner.send(40);
  await once(planner, 'message');
  const died = once(executor, 'exit');
  assert.ok(group.setLimit(group.heldBytes() + 8 * MB));
  // Had the kernel killed the planner, the executor would live. It may kill the planner, too, if memory comes back late.
  planner.send(20);
  const [, signal] = await died;
  assert.equal(signal, 'SIGKILL');
});

/** A child that has said hello. */
async function forkHungry(
  context: TestContext,
  options: ChildOptions,
): Promise<{ readonly child: ChildProcess; readonly greeting: Greeting }> {
  const child = forkDisposable(SCRIPT, options);
  context.after(() => child.kill('SIGKILL'));
  const [greeting] = (await once(child, 'message')) as [Greeting];
  return { child, greeting };
}
