import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { CameraLoss, SupervisedCommand } from '../../agent/camera/command-supervisor.js';
import { CommandSupervisor, PAUSES_MS } from '../../agent/camera/command-supervisor.js';
import { until } from '../start-agent.js';

/** Never reached in a test. */
const LONG_MS = 1e6;

test('CommandSupervisor starts a command again when it ends, after pauses that grow until a frame comes', async (context) => {
  const { supervisor, commands, losses, states } = setUp(context, { pausesMs: [1, 2, 3] });
  supervisor.start();
  for (let at = 0; at < 4; at += 1) {
    await until(() => commands.length === at + 1);
    commands[at]?.end(`end ${at}`);
  }
  await until(() => commands.length === 5);
  supervisor.countFrame();
  commands[4]?.end('end 4');
  await until(() => losses.length === 5);
  assert.deepEqual(
    losses.map(({ retryMs }) => retryMs),
    [1, 2, 3, 3, 1],
  );
  assert.equal(losses[0]?.reason, 'end 0: last words');
  await supervisor.stop();
  assert.deepEqual(states.slice(0, 4), [
    'starting',
    'waiting end 0: last words',
    'starting end 0: last words',
    'waiting end 1: last words',
  ]);
  assert.ok(states.includes('running'));
});

test('CommandSupervisor waits 5 to 60 s', () => {
  assert.deepEqual(PAUSES_MS, [5000, 10_000, 20_000, 40_000, 60_000]);
});

test('CommandSupervisor ends a command that gives no frame in time', async (context) => {
  const { supervisor, commands, losses } = setUp(context, { firstFrameMs: 5, pausesMs: [LONG_MS] });
  supervisor.start();
  await until(() => losses.length === 1);
  assert.equal(losses[0]?.reason, 'no frame within 0.005 s: last words');
  assert.ok(commands[0]?.isStopped);
});

test('CommandSupervisor ends a command that gives no frame any more', async (context) => {
  const { supervisor, commands, losses } = setUp(context, { stallMs: 10, pausesMs: [LONG_MS] });
  supervisor.start();
  supervisor.countFrame();
  assert.equal(supervisor.status.state, 'running');
  await until(() => losses.length === 1);
  assert.equal(losses[0]?.reason, 'no frame for 0.01 s: last words');
  assert.ok(commands[0]?.isStopped);
});

test('CommandSupervisor says why a command can not start, and tries again', async (context) => {
  const { supervisor, commands, losses } = setUp(context, { fault: 'no such command' });
  supervisor.start();
  await until(() => commands.length >= 3);
  assert.equal(losses[0]?.reason, 'no such command: last words');
  await supervisor.stop();
});

test('CommandSupervisor.stop() waits until the command is gone, and none is started any more', async (context) => {
  const { supervisor, commands } = setUp(context, { pausesMs: [LONG_MS], isSlowToStop: true });
  supervisor.start();
  let isStopped = false;
  const stopping = supervisor.stop().then(() => {
    isStopped = true;
  });
  await turn();
  assert.deepEqual([commands.length, commands[0]?.isStopped, isStopped], [1, true, false]);
  commands[0]?.go();
  await stopping;
  await supervisor.stop();
  assert.deepEqual([commands.length, supervisor.status], [1, { state: 'starting', reason: null }]);
});

test('CommandSupervisor.stop() ends a pause, and a later start() begins anew', async (context) => {
  const { supervisor, commands, losses } = setUp(context, { pausesMs: [LONG_MS] });
  supervisor.start();
  commands[0]?.end('ended');
  await until(() => losses.length === 1);
  await supervisor.stop();
  supervisor.start();
  assert.equal(commands.length, 2);
  await supervisor.stop();
});

test('CommandSupervisor ignores a frame that comes after the loss', async (context) => {
  const { supervisor, commands, losses } = setUp(context, { pausesMs: [LONG_MS] });
  supervisor.start();
  commands[0]?.end('ended');
  await until(() => losses.length === 1);
  supervisor.countFrame();
  assert.equal(supervisor.status.state, 'waiting');
  await supervisor.stop();
});

interface SetUp {
  readonly firstFrameMs?: number;
  readonly stallMs?: number;
  readonly pausesMs?: readonly number[];
  /** What the start of a command throws. */
  readonly fault?: string;
  /** Commands are gone only when the test says so. */
  readonly isSlowToStop?: boolean;
}

function setUp(
  context: TestContext,
  { firstFrameMs = LONG_MS, stallMs = LONG_MS, pausesMs = [1], ...rest }: SetUp,
) {
  const commands: HandCommand[] = [];
  const losses: CameraLoss[] = [];
  const states: string[] = [];
  const supervisor = new CommandSupervisor({
    createCommand: () => {
      const command = new HandCommand(rest);
      commands.push(command);
      return command;
    },
    firstFrameMs,
    stallMs,
    pausesMs,
    onStatus: ({ state, reason }) => states.push([state, reason ?? ''].join(' ').trim()),
    onLost: (loss) => losses.push(loss),
  });
  context.after(() => supervisor.stop());
  return { supervisor, commands, losses, states };
}

/** A command that does what the test says. */
class HandCommand implements SupervisedCommand {
  readonly lastWords = 'last words';
  isStopped = false;
  end: (reason: string) => void = () => undefined;
  go: () => void = () => undefined;
  readonly #fault: string | undefined;
  readonly ended = new Promise<string>((resolve) => {
    this.end = resolve;
  });
  readonly #gone = new Promise<void>((resolve) => {
    this.go = resolve;
  });

  constructor({ fault, isSlowToStop = false }: Pick<SetUp, 'fault' | 'isSlowToStop'>) {
    this.#fault = fault;
    if (!isSlowToStop) this.go();
  }

  async start(): Promise<void> {
    if (this.#fault !== undefined) throw new Error(this.#fault);
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.#gone;
  }
}
