/**
 * `./install.sh --demo`: the real agent with an embedded broker, a synthetic camera and a small budget, and on
 * the screen what it says of itself. After a while the budget is lowered: the plan changes, frames go on.
 *
 *   node dist/demo/main.js [--seconds N]
 *
 * On a terminal it runs until Ctrl-C, elsewhere for UNATTENDED_SECONDS. Exit code 0 if frames were processed
 * before and after the change (on a terminal: at all, since Ctrl-C may come first), else 1.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { printLine } from '../agent/cli/print.js';
import { DEMO_NODE, DemoAgent } from './agent-process.js';
import { makeDemoModel } from './demo-model.js';
import type { DemoState } from './state.js';
import { hasAdapted, hasFrames } from './state.js';
import { describeEnd, describeStart } from './text.js';
import { createView } from './view.js';
import { DemoWatch } from './watch.js';

/** Untiled the network needs 80 MB, weights included; the smallest plan needs 25 MB. */
const BUDGETS = { first: '40M', later: '28M' } as const;

/** When the budget is lowered; at half time if that is sooner. */
const LOWER_SECONDS = 10;

const UNATTENDED_SECONDS = 20;
const TICK_MS = 1000;

/** Exit code when it is ended before there was anything to see: 128 + SIGINT, as shells have it. */
const INTERRUPTED = 130;

const PROJECT = resolve(fileURLToPath(new URL('../..', import.meta.url)));

function readSeconds(): number {
  const { values } = parseArgs({ options: { seconds: { type: 'string' } } });
  if (values.seconds === undefined)
    return process.stdout.isTTY ? Number.POSITIVE_INFINITY : UNATTENDED_SECONDS;
  const seconds = Number(values.seconds);
  if (seconds > 0) return seconds;
  throw new RangeError(`Cannot run for --seconds ${values.seconds}: expected a number above 0`);
}

/** SIGHUP is the terminal being closed; without a reader of its output there is nothing to show, either. */
function abortWhenEnded(): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort(new Error('ended'));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, abort);
  process.stdout.on('error', abort);
  return controller.signal;
}

interface DemoRun {
  readonly folder: string;
  readonly agent: DemoAgent;
  readonly seconds: number;
  readonly ended: AbortSignal;
}

/** @returns what was seen. */
async function runDemo({ folder, agent, seconds, ended }: DemoRun): Promise<DemoState> {
  const untiled = await makeDemoModel(join(folder, 'models'));
  printLine('starting the agent');
  const server = await agent.start(BUDGETS.first, ended);
  for (const line of describeStart({ server, node: DEMO_NODE, folder: PROJECT })) printLine(line);
  const watch = new DemoWatch(server, untiled);
  const view = createView(process.stdout);
  watch.start();
  await showUntil(AbortSignal.any([ended, agent.lost]), { agent, watch, view, seconds });
  const { state } = watch;
  // Both at once: an agent that hangs doesn't close the line until it is killed.
  await Promise.all([watch.stop(), agent.stop()]);
  view.end(state);
  return state;
}

interface Shown {
  readonly agent: DemoAgent;
  readonly watch: DemoWatch;
  readonly view: ReturnType<typeof createView>;
  readonly seconds: number;
}

async function showUntil(signal: AbortSignal, { agent, watch, view, seconds }: Shown): Promise<void> {
  let isLowered = false;
  while (!signal.aborted && watch.state.elapsedSeconds < seconds) {
    view.show(watch.state);
    if (!isLowered && watch.state.elapsedSeconds >= Math.min(LOWER_SECONDS, seconds / 2)) {
      agent.setBudget(BUDGETS.later);
      isLowered = true;
    }
    // Aborting ends the pause, and the loop.
    await sleep(TICK_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function main(): Promise<number> {
  const seconds = readSeconds();
  const ended = abortWhenEnded();
  const folder = mkdtempSync(join(tmpdir(), 'mafat-demo-'));
  const agent = new DemoAgent(folder);
  // However this process ends, short of SIGKILL.
  process.once('exit', () => {
    agent.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  try {
    const state = await runDemo({ folder, agent, seconds, ended });
    printLine(`\n${describeEnd(state)}`);
    agent.lost.throwIfAborted();
    return hasAdapted(state) || (process.stdout.isTTY && hasFrames(state)) ? 0 : 1;
  } catch (error) {
    if (ended.aborted) return INTERRUPTED;
    for (const line of agent.tail) process.stderr.write(`${line}\n`);
    throw error;
  } finally {
    await agent.stop();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
