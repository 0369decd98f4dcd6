/**
 * Starts a Node.js script in a process that the kernel kills before the agent.
 *
 * `sh` writes its own score and moves itself into a group, and then becomes Node.js by `exec`. So the script runs
 * under both from its first instruction on, and the pid and the channel stay the same. A score that the agent writes
 * after the start comes too late: a process that starts is small, and the kernel would kill the agent instead.
 *
 * Where there is no shell, no procfs or no right to write, the script runs all the same, without what can't be had.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseInteger, readText } from './read-text.js';

/** What a process is for. When memory is short the kernel kills the executor first, then the planner, then the agent. */
export type Role = 'executor' | 'planner';

export interface ChildOptions {
  readonly role: Role;
  readonly execArgv?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** File `cgroup.procs` of the group that the process runs in; by default it runs in the agent's. */
  readonly procsFile?: string | undefined;
  /** A pipe after the channel, as descriptor 4. */
  readonly hasBytesPipe?: boolean;
}

const SHELL = '/bin/sh';

/** Arguments: score, file of the group or nothing, then the command. Errors are redirected first, so none is shown. */
const BECOME = `
  echo "$1" 2>/dev/null >/proc/self/oom_score_adj
  [ -z "$2" ] || echo $$ 2>/dev/null >"$2"
  shift 2
  exec "$@"
`;

/** The highest value of oom_score_adj. Source: man proc_pid_oom_score_adj. */
const MOST_SCORE = 1000;

/** Its channel carries typed arrays, and its output goes to the agent's standard error. */
export function forkDisposable(script: URL, options: ChildOptions): ChildProcess {
  const node = [process.execPath, ...(options.execArgv ?? []), fileURLToPath(script)];
  const score = String(oomScoreOf(options.role));
  const command = existsSync(SHELL)
    ? [SHELL, '-c', BECOME, 'sh', score, options.procsFile ?? '', ...node]
    : node;
  const [file = process.execPath, ...args] = command;
  const child = spawn(file, args, {
    env: options.env ?? process.env,
    serialization: 'advanced',
    stdio: ['ignore', 2, 2, 'ipc', ...(options.hasBytesPipe === true ? (['pipe'] as const) : [])],
  });
  trackDisposable(child);
  return child;
}

const LIVING = new Set<ChildProcess>();

/** A child that `killDisposables` may end, whoever started it. */
export function trackDisposable(child: ChildProcess): void {
  LIVING.add(child);
  child.once('close', () => LIVING.delete(child));
}

/** Kills all of them. Each one's owner learns it by the child's exit. */
export function killDisposables(): void {
  for (const child of LIVING) child.kill('SIGKILL');
}

/**
 * The score adds its thousandths of all memory to what a process holds. So the planner stands half-way: the executor
 * goes first unless the planner holds about half of all memory more.
 */
export function oomScoreOf(role: Role, root = '/'): number {
  const own = parseInteger(readText(`${root}/proc/self/oom_score_adj`)) ?? 0;
  return role === 'executor' ? MOST_SCORE : Math.ceil((own + MOST_SCORE) / 2);
}
