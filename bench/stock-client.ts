/** The bench's side of a contestant that is a program of its own: JSON by the line over its stdin and stdout. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { readProcessMemory } from '../agent/board/process-memory.js';

export interface LineRequest {
  /** `check` is a run that answers with its outputs. */
  readonly ask: 'load' | 'run' | 'check';
}

export interface LineOutput {
  readonly name: string;
  readonly shape: readonly number[];
  /** Raw float32, little-endian. */
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

/** The program ended while an answer was awaited: killed, most likely. */
export class ProgramEnded extends Error {
  override readonly name = 'ProgramEnded';
}

export class LineProgram {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #idleBytes = 0;

  private constructor({ command, args, env }: ProgramSpec) {
    this.#child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    // What is written to a program that has just been killed is lost with it.
    this.#child.stdin?.on('error', () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout ?? process.stdin })[Symbol.asyncIterator]();
  }

  /** Resolves when the program is ready and measured. */
  static async start(spec: ProgramSpec): Promise<LineProgram> {
    const program = new LineProgram(spec);
    await once(program.#child, 'spawn');
    await program.#answer();
    program.#idleBytes = readProcessMemory(program.pid).rssAnonBytes;
    return program;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Private memory before any model. */
  get idleBytes(): number {
    return this.#idleBytes;
  }

  /** @throws {ProgramEnded}, also after `deadlineMs`, when it is killed; {Error} if the program couldn't. */
  async ask(request: LineRequest, deadlineMs: number): Promise<LineAnswer> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
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
    if (done === true) throw new ProgramEnded(`Program ${this.#child.spawnfile} ended`);
    return JSON.parse(value) as LineAnswer;
  }
}
