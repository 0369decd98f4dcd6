/**
 * Starts processes that the kernel kills before the agent: Node.js scripts and the commands of cameras.
 *
 * `sh` writes its own score and moves itself into a group, and then becomes the process by `exec`. So the process runs
 * under both from its first instruction on, and its pid and channels stay the same. A score that the agent writes
 * after the start comes too late: a process that starts is small, and the kernel would kill the agent instead.
 *
 * Where there is no shell, no procfs or no right to write, the process runs all the same, without what can't be had.
 */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseInteger, readText } from './read-text.js';

/**
 * What a process is for. When memory is short the kernel kills the executor first, then the planner or the command of
 * a camera, then the agent.
 */
export type Role = 'executor' | 'planner' | 'camera';

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

/**
 * Arguments: score, file of the group or nothing, `mortal` or nothing, then the command. Errors are redirected first,
 * so none is shown. `mortal` asks the kernel for a SIGKILL when the agent ends, which needs util-linux' setpriv: the
 * one of BusyBox doesn't have the option.
 */
const BECOME = `
  echo "$1" 2>/dev/null >/proc/self/oom_score_adj
  [ -z "$2" ] || echo $$ 2>/dev/null >"$2"
  mortal=$3
  shift 3
  if [ -n "$mortal" ] && setpriv --pdeathsig KILL true 2>/dev/null; then
    exec setpriv --pdeathsig KILL "$@"
  fi
  exec "$@"
`;

/** The highest value of oom_score_adj. Source: man proc_pid_oom_score_adj. */
const MOST_SCORE = 1000;

/** Its channel carries typed arrays, and its output goes to the agent's standard error. */
export function forkDisposable(script: URL, options: ChildOptions): ChildProcess {
  const node = [process.execPath, ...(options.execArgv ?? []), fileURLToPath(script)];
  return spawnFirstToDie(node, options, {
    env: options.env ?? process.env,
    serialization: 'advanced',
    stdio: ['ignore', 2, 2, 'ipc', ...(options.hasBytesPipe === true ? (['pipe'] as const) : [])],
  });
}

const LIVING = new Set<ChildProcess>();

/** Kills all that were started here. Each one's owner learns it by the child's exit. */
export function killDisposables(): void {
  for (const child of LIVING) child.kill('SIGKILL');
}

export interface CommandOptions {
  readonly role: Role;
  /** The command's standard output. */
  readonly stdout: Socket;
}

/**
 * Starts a command that is no part of the agent. Its standard error is a pipe. It is killed when the agent ends
 * without stopping it; on boards without setpriv it ends when it writes its output next.
 */
export function spawnDisposable(
  [file, ...args]: readonly [file: string, ...args: readonly string[]],
  { role, stdout }: CommandOptions,
): ChildProcess {
  const stdio: SpawnOptions['stdio'] = ['ignore', stdout, 'pipe'];
  return spawnFirstToDie([file, ...args], { role, isMortal: true }, { stdio });
}

interface Fate {
  readonly role: Role;
  readonly procsFile?: string | undefined;
  /** Whether it is killed when the agent ends. */
  readonly isMortal?: boolean;
}

function spawnFirstToDie(
  command: readonly string[],
  { role, procsFile = '', isMortal = false }: Fate,
  options: SpawnOptions,
): ChildProcess {
  const become = [SHELL, '-c', BECOME, 'sh', String(oomScoreOf(role)), procsFile, isMortal ? 'mortal' : ''];
  const [file = SHELL, ...args] = existsSync(SHELL) ? [...become, ...command] : command;
  const child = spawn(file, args, options);
  LIVING.add(child);
  child.once('close', () => LIVING.delete(child));
  return child;
}

/**
 * The score adds its thousandths of all memory to what a process holds. So planner and cameras stand half-way: the
 * executor goes first unless one of them holds about half of all memory more.
 */
export function oomScoreOf(role: Role, root = '/'): number {
  const own = parseInteger(readText(`${root}/proc/self/oom_score_adj`)) ?? 0;
  return role === 'executor' ? MOST_SCORE : Math.ceil((own + MOST_SCORE) / 2);
}
