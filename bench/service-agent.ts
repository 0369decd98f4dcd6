/**
 * Runs the real agent for a bench, with the flags, environment and score for the OOM killer of systemd's unit. A memory
 * cgroup is joined before the agent starts, so that all of its memory is charged there.
 *
 * The bench sees the agent from outside, by MQTT (service-client.ts) and by /proc.
 */
import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { present } from '../shared/graph/index.js';
import type { MemoryGroup } from './cgroup.js';
import { evictFiles } from './cgroup-faults.js';
import { freePort, isOpen } from './service-port.js';
import { childrenOf, isExecutor, memoryOf } from './service-processes.js';

const MAIN = fileURLToPath(new URL('../agent/main.js', import.meta.url));
const UNIT = fileURLToPath(new URL('../../systemd/mafat-agent.service', import.meta.url));

export const SERVICE_NODE = 'bench';

/** Time that the agent has to end by itself, as in the unit. */
const STOP_MS = 10_000;

/** Pause between two attempts to reach the agent's broker. */
const PROBE_MS = 20;

export interface ServiceSetUp {
  /** State folder with the models, as systemd gives one. */
  readonly folder: string;
  readonly models: readonly string[];
  /** Absent for as much as the board can spare. */
  readonly budgetBytes?: number;
  /** Synthetic ones, unless `kind` says otherwise. Other keys stand in the configuration as they are. */
  readonly cameras: readonly (Readonly<Record<string, unknown>> & {
    readonly model: string;
    readonly fps: number;
  })[];
  /** URL of another broker than the embedded one. */
  readonly server?: string;
  /** Flags of Node in addition to the unit's. */
  readonly nodeFlags?: readonly string[];
  /** File that the agent's log is written to; else it is dropped. */
  readonly logFile?: string;
  readonly group?: MemoryGroup;
  /** Kills the agent when it aborts. */
  readonly signal: AbortSignal;
}

/** Private memory of the service now, in bytes. A process that isn't there has none. */
export interface ServiceMemory {
  readonly agentBytes: number;
  readonly executorBytes: number;
  /** Executors; there may be two while one replaces another. */
  readonly executors: number;
  /** Swapped out, of both. */
  readonly swappedBytes: number;
}

export class ServiceAgent {
  readonly server: string;
  readonly startedMs = performance.now();
  readonly #child: ChildProcess;
  readonly #port: number;
  #end: string | undefined;

  private constructor(child: ChildProcess, port: number, server = `mqtt://127.0.0.1:${port}`) {
    this.#child = child;
    this.#port = port;
    this.server = server;
    child.once('exit', (code, signal) => {
      this.#end = signal ?? `exit code ${code}`;
      this.#killGroup();
    });
  }

  /** Returns at once. */
  static async start(setUp: ServiceSetUp): Promise<ServiceAgent> {
    const port = await freePort();
    const config = join(setUp.folder, 'agent.yaml');
    writeFileSync(config, configOf(setUp, port));
    const { flags, environment, score } = readUnit();
    const joining = setUp.group === undefined ? '' : `echo $$ > '${setUp.group.processesFile}' &&`;
    const script = `${joining} echo ${score} > /proc/self/oom_score_adj; exec "$0" "$@"`;
    const args = [
      '-c',
      script,
      await nodeOf(setUp),
      ...flags,
      ...(setUp.nodeFlags ?? []),
      MAIN,
      'agent',
      '--config',
      config,
    ];
    const output = setUp.logFile === undefined ? 'ignore' : openSync(setUp.logFile, 'w');
    const child = spawn('/bin/sh', args, {
      env: { ...process.env, ...environment, STATE_DIRECTORY: setUp.folder },
      stdio: ['ignore', output, output],
      detached: true,
    });
    if (typeof output === 'number') closeSync(output);
    const agent = new ServiceAgent(child, port, setUp.server);
    const kill = () => agent.#killGroup();
    setUp.signal.addEventListener('abort', kill, { once: true });
    child.once('exit', () => setUp.signal.removeEventListener('abort', kill));
    return agent;
  }

  get pid(): number {
    return present(this.#child.pid, 'process id of the agent');
  }

  /** How the agent ended; undefined while it runs. */
  get end(): string | undefined {
    return this.#end;
  }

  /** Resolves when the embedded broker listens or the agent has ended. */
  async listening(): Promise<void> {
    while (this.#end === undefined && !(await isOpen(this.#port))) await sleep(PROBE_MS);
  }

  memory(): ServiceMemory {
    const agent = memoryOf(this.pid);
    const executors = childrenOf(this.pid).filter(isExecutor).map(memoryOf);
    return {
      agentBytes: agent.privateBytes,
      executorBytes: sum(executors.map(({ privateBytes }) => privateBytes)),
      executors: executors.length,
      swappedBytes: sum([agent, ...executors].map(({ swapBytes }) => swapBytes)),
    };
  }

  /** Ends the agent and waits for its end. */
  async stop(): Promise<void> {
    if (this.#end !== undefined) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#killGroup(), STOP_MS);
    await exited;
    clearTimeout(timer);
  }

  /** Kills the agent and what it left. */
  #killGroup(): void {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Runs a command of `mafat` with a state folder. @returns what it printed. */
export async function runMafat(folder: string, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, STATE_DIRECTORY: folder };
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args], {
    env,
    maxBuffer: 2 ** 26,
  });
  return stdout;
}

function configOf({ models, budgetBytes, cameras, server = 'embedded' }: ServiceSetUp, port: number): string {
  const list = (items: readonly object[]) => JSON.stringify(items);
  return `node: ${SERVICE_NODE}
models: ${list(models.map((name) => ({ name })))}
memory: { budget: ${budgetBytes ?? 'auto'} }
mqtt: { server: '${server}', listen: { port: ${port} } }
cameras: ${list(cameras.map((camera, at) => ({ kind: 'synthetic', name: `camera${at}`, ...camera })))}
health: { interval: 1 }
`;
}

interface Unit {
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly score: string;
}

/** @throws {RangeError} if the unit starts the agent in another way than by node. */
function readUnit(): Unit {
  const text = readFileSync(UNIT, 'utf8');
  const flags = /^ExecStart=\S*node (.*?)\S+main\.js /m.exec(text)?.[1];
  if (flags === undefined)
    throw new RangeError(`Cannot read ${UNIT}: expected ExecStart=.../node FLAGS .../main.js`);
  const pairs = [...text.matchAll(/^Environment=(.*)$/gm)].flatMap(([, line = '']) => line.split(' '));
  return {
    flags: flags.split(' ').filter((flag) => flag !== ''),
    environment: Object.fromEntries(pairs.map((pair) => pair.split('='))),
    score: /^OOMScoreAdjust=(\d+)$/m.exec(text)?.[1] ?? '0',
  };
}

/**
 * Node's program. In a group it is a copy that isn't in the page cache, and neither are the models. Pages of a file are
 * charged to the group that reads them first, and this process has read those of its own program.
 */
async function nodeOf({ folder, group }: ServiceSetUp): Promise<string> {
  if (group === undefined) return process.execPath;
  const copy = join(folder, 'node');
  if (!existsSync(copy)) await copyFile(process.execPath, copy);
  await evictFiles(folder);
  return copy;
}
