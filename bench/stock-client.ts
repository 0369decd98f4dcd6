/** Starts a contestant's program and asks it by lines of JSON over its stdin and stdout. */
import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { readProcessMemory } from '../agent/board/process-memory.js';
import { present } from '../shared/graph/index.js';

export interface LineRequest {
  /** Kind of request. A `check` is a run that answers with its outputs. */
  readonly ask: 'load' | 'run' | 'check';
}

export interface LineOutput {
  readonly name: string;
  readonly shape: readonly number[];
  /** Values as raw little-endian float32 numbers. */
  readonly base64: string;
}

export interface LineAnswer {
  readonly latencyMs?: number;
  readonly outputs?: readonly LineOutput[];
  readonly error?: string;
}

export interface ProgramSpec {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The program ended while an answer was awaited, most likely because it was killed. */
class ProgramEnded extends Error {
  override readonly name = 'ProgramEnded';
}

export class LineProgram {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  #idleBytes = 0;

  private constructor({ command, args, env }: ProgramSpec) {
    this.#child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    // A request to a program that has just been killed is lost.
    this.#child.stdin.on('error', () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Resolves when the program is ready and its idle memory is measured. */
  static async start(spec: ProgramSpec): Promise<LineProgram> {
    const program = new LineProgram(spec);
    await once(program.#child, 'spawn');
    await program.#answer();
    program.#idleBytes = readProcessMemory(program.pid).rssAnonBytes;
    return program;
  }

  get pid(): number {
    return present(this.#child.pid, 'process id of the program');
  }

  /** Private memory before a model is loaded. */
  get idleBytes(): number {
    return this.#idleBytes;
  }

  /**
   * @throws {ProgramEnded} if the program ends, as it must after `deadlineMs`.
   * @throws {Error} with the program's message, if it can't do what was asked.
   */
  async ask(request: LineRequest, deadlineMs: number): Promise<LineAnswer> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), deadlineMs);
    const answer = await this.#answer().finally(() => clearTimeout(timer));
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  async #answer(): Promise<LineAnswer> {
    const { value, done } = await this.#lines.next();
    if (done === true)
      throw new ProgramEnded(`Cannot ask ${this.#child.spawnfile}: the program ended before it answered`);
    return JSON.parse(value) as LineAnswer;
  }
}
