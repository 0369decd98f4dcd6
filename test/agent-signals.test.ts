/** Signals of a real agent, from its first line on, and while its executor hangs; what it tells the service manager. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { skipWithoutNotify, startReceiver } from './notify-receiver.js';
import { freePort } from './serve/brokers.js';
import { startAgent, until } from './start-agent.js';

/** Longest time from SIGTERM to the end. */
const END_MS = 5000;

/** Times after the agent has taken SIGHUP over: while it loads, while it starts, and while it runs. */
const DELAYS_MS = [0, 30, 100, 250, 500, 1000, 2500];

test('SIGHUP never ends an agent from its first line on, and SIGTERM ends it cleanly at any time', async (context) => {
  for (const delayMs of DELAYS_MS) {
    const { child } = startAgent(context, { port: await freePort(), server: 'embedded' });
    await until(() => catchesHangUp(child));
    await sleep(delayMs);
    child.kill('SIGHUP');
    await sleep(20);
    assert.deepEqual([child.exitCode, child.signalCode], [null, null], `SIGHUP after ${delayMs} ms`);
    assert.deepEqual(await endOf(child), [0, null], `SIGTERM after ${delayMs} ms`);
  }
});

test('a SIGHUP that comes while the agent starts is a reload once it runs', async (context) => {
  const agent = startAgent(context, { port: await freePort(), server: 'embedded' });
  await until(() => catchesHangUp(agent.child));
  agent.child.kill('SIGHUP');
  await agent.logged('agent started');
  await agent.logged('configuration reloaded');
  assert.equal(await agent.stop(), 0);
});

test('SIGTERM ends an agent within 5 s although its executor is stopped', async (context) => {
  const agent = startAgent(context, { port: await freePort(), server: 'embedded' });
  await agent.logged('agent started');
  const executor = await stoppedExecutor(agent.child);
  assert.deepEqual(await endOf(agent.child), [0, null]);
  await until(() => !isAlive(executor));
});

test('a second SIGTERM ends an agent at once, and its executor with it', async (context) => {
  const agent = startAgent(context, { port: await freePort(), server: 'embedded' });
  await agent.logged('agent started');
  const executor = await stoppedExecutor(agent.child);
  const exited = once(agent.child, 'exit');
  agent.child.kill('SIGTERM');
  await agent.logged('agent stops');
  agent.child.kill('SIGTERM');
  assert.deepEqual(await exited, [1, null]);
  await agent.logged('SIGTERM came again');
  await until(() => !isAlive(executor));
});

test('an agent tells the service manager its state, and its children cannot', {
  skip: skipWithoutNotify,
}, async (context) => {
  const receiver = await startReceiver(context);
  const env = { NOTIFY_SOCKET: receiver.socket, WATCHDOG_USEC: '2000000' };
  const agent = startAgent(context, { port: await freePort(), server: 'embedded', env });
  await receiver.heard({ EXTEND_TIMEOUT_USEC: /^\d+$/ });
  await receiver.heard({ READY: '1', STATUS: /^detector: .+; 0 inferences\/s$/ });
  await receiver.heard({ WATCHDOG: '1' }, 2);
  const [executor = 0] = childrenOf(agent.child);
  assert.doesNotMatch(readFileSync(`/proc/${executor}/environ`, 'utf8'), /NOTIFY_SOCKET|WATCHDOG_USEC/);
  agent.reload('64M');
  await receiver.heard({ RELOADING: '1', MONOTONIC_USEC: /^\d+$/ });
  await receiver.heard({ READY: '1' }, 2);
  assert.equal(await agent.stop(), 0);
  await receiver.heard({ STOPPING: '1' });
});

/** Exit code and signal after SIGTERM; both null if it took too long. */
async function endOf(child: ChildProcess): Promise<readonly unknown[]> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  return Promise.race([exited, sleep(END_MS, [null, null], { ref: false })]);
}

/** Whether the process has a handler for SIGHUP, signal 1. */
function catchesHangUp({ pid }: ChildProcess): boolean {
  const caught = /^SigCgt:\s+(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${caught}`) & 1n) === 1n;
}

/** The agent's executor, stopped while frames wait for it. */
async function stoppedExecutor(agent: ChildProcess): Promise<number> {
  await until(() => childrenOf(agent).length > 0);
  const [executor = 0] = childrenOf(agent);
  process.kill(executor, 'SIGSTOP');
  // A frame comes each half second.
  await sleep(700);
  return executor;
}

function childrenOf({ pid }: ChildProcess): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    // It has gone.
    return false;
  }
}
