/** One run of a camera's command, from its start to the moment when nothing of it is left. */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnDisposable } from '../board/disposable-child.js';
import type { SupervisedCommand } from './command-supervisor.js';
import { LastLines } from './last-lines.js';
import type { ReusedPipe } from './reused-pipe.js';
import { openReusedPipe } from './reused-pipe.js';

/** How a command is started once, and what becomes of its output. */
export interface CommandPlan {
  readonly file: string;
  readonly args: readonly string[];
  /** Called with the next bytes of standard output, which are valid until it returns. */
  readonly onBytes: (bytes: Uint8Array) => void;
  /** Called with each line of standard error. @returns what a person may see of it, without credentials. */
  readonly readLine: (line: string) => string | undefined;
  /** Called when there is no output any more. */
  readonly onEnd: () => void;
}

/** Time from SIGTERM to SIGKILL. */
const KILL_MS = 2000;

/** Time after SIGKILL in which a process may stay: one that hangs in a driver can't be killed, and isn't waited for. */
const LET_GO_MS = 1000;

/** Time in which the last output is read after a command has ended: a child of its own may hold the pipe open. */
const DRAIN_MS = 500;

export class CommandProcess implements SupervisedCommand {
  readonly #plan: () => Promise<CommandPlan>;
  #starting: Promise<void> | undefined;
  #child: ChildProcess | undefined;
  #pipe: ReusedPipe | undefined;
  #lines: LastLines | undefined;
  #onEnd: () => void = () => undefined;
  #tellEnd: (reason: string) => void = () => undefined;
  readonly ended = new Promise<string>((resolve) => {
    this.#tellEnd = resolve;
  });
  /** Settles when the process is gone. */
  #gone: Promise<string> | undefined;

  /** @param plan asked at the start; what it throws is the reason why the command can't run. */
  constructor(plan: () => Promise<CommandPlan>) {
    this.#plan = plan;
  }

  get lastWords(): string {
    return this.#lines?.text ?? '';
  }

  /** Id of the process; undefined before it is started and once it is gone. */
  get pid(): number | undefined {
    const child = this.#child;
    return child?.exitCode === null && child.signalCode === null ? child.pid : undefined;
  }

  start(): Promise<void> {
    this.#starting = this.#start();
    return this.#starting;
  }

  async stop(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const child = this.#child;
    if (child === undefined) return;
    const timer = setTimeout(() => child.kill('SIGKILL'), KILL_MS);
    child.kill('SIGTERM');
    await Promise.race([this.#gone, sleep(KILL_MS + LET_GO_MS, undefined, { ref: false })]);
    clearTimeout(timer);
    this.#pipe?.close();
    child.stderr?.destroy();
    this.#onEnd();
  }

  async #start(): Promise<void> {
    const { file, args, onBytes, readLine, onEnd } = await this.#plan();
    const pipe = await openReusedPipe(onBytes);
    const child = spawnOnPipe([file, ...args], pipe);
    const lines = new LastLines(readLine);
    child.stderr?.setEncoding('utf8').on('data', (part: string) => lines.add(part));
    this.#child = child;
    this.#pipe = pipe;
    this.#lines = lines;
    this.#onEnd = onEnd;
    this.#gone = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? `code ${code}`}`));
    });
    void this.#gone.then((reason) => this.#finish(reason, pipe));
  }

  async #finish(reason: string, pipe: ReusedPipe): Promise<void> {
    await Promise.race([pipe.ended, sleep(DRAIN_MS, undefined, { ref: false })]);
    this.#lines?.end();
    this.#tellEnd(reason);
  }
}

/** @throws {Error} where there is no memory for a process. */
function spawnOnPipe(
  command: readonly [file: string, ...args: readonly string[]],
  pipe: ReusedPipe,
): ChildProcess {
  try {
    return spawnDisposable(command, { role: 'camera', stdout: pipe.writeEnd });
  } catch (error) {
    pipe.close();
    throw error;
  } finally {
    pipe.writeEnd.destroy();
  }
}
