/**
 * Shows the real agent with an embedded broker, a synthetic camera and a small budget. The screen shows the agent's
 * own reports. After a while the demo lowers the budget: the plan changes, and frames continue.
 *
 *     node dist/demo/main.js [--seconds N]        (or: ./install.sh --demo [--seconds N])
 *
 * On a terminal it runs until Ctrl-C, elsewhere for UNATTENDED_SECONDS. The exit code is 0 if frames were processed
 * before and after the change of plan, otherwise 1. On a terminal any frame is enough, since Ctrl-C may come early.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { printLine } from '../agent/cli/print.js';
import { DEMO_NODE, DemoAgent } from './agent-process.js';
import { makeDemoModel } from './demo-model.js';
import type { DemoState } from './state.js';
import { hasAdapted, hasFrames } from './state.js';
import { describeEnd, describeStart } from './text.js';
import { createView } from './view.js';
import { DemoWatch } from './watch.js';

/** Budgets between the smallest plan, which needs 25 MB, and the untiled network, which needs 80 MB with weights. */
const BUDGETS = { first: '40M', later: '28M' } as const;

/** Time until the budget is lowered. A shorter demo lowers it at half time. */
const LOWER_SECONDS = 10;

/** Length of the demo if its output isn't a terminal. */
const UNATTENDED_SECONDS = 20;
/** Pause between two pictures. */
const TICK_MS = 1000;

/** Exit code if a signal ends the demo before it shows anything: 128 + SIGINT, as in shells. */
const INTERRUPTED = 130;

const PROJECT = resolve(fileURLToPath(new URL('../..', import.meta.url)));

function readSeconds(): number {
  const usual = process.stdout.isTTY ? Number.POSITIVE_INFINITY : UNATTENDED_SECONDS;
  const { seconds = usual } = new Command('node dist/demo/main.js')
    .description('Shows the agent on a synthetic camera while its memory budget is lowered.')
    .option(
      '--seconds <number>',
      `length of the demo (default: until Ctrl-C on a terminal, otherwise ${UNATTENDED_SECONDS})`,
      parseSeconds,
    )
    .helpOption('-h, --help', 'print this help')
    .parse()
    .opts<{ readonly seconds?: number }>();
  return seconds;
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0) return seconds;
  throw new InvalidArgumentError('Expected a number above 0.');
}

/** Signal that aborts when a signal comes, the terminal is closed (SIGHUP) or the output has no reader. */
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

/** @returns the state at the end. */
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
  // Both stop at once, since an agent that hangs doesn't close the connection until it is killed.
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
    // Aborting ends the pause and the loop.
    await sleep(TICK_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function main(): Promise<number> {
  const seconds = readSeconds();
  const ended = abortWhenEnded();
  const folder = mkdtempSync(join(tmpdir(), 'mafat-demo-'));
  const agent = new DemoAgent(folder);
  // This runs however the process ends, except by SIGKILL.
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
