/**
 * Runs the real agent as a child process. Its configuration, models and store are in one folder of the demo.
 *
 * The agent has its own process group, so Ctrl-C reaches the demo alone. The demo then stops the agent in order.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DEMO_MODEL, DEMO_THREADS } from './demo-model.js';

export const DEMO_NODE = 'demo';

const MAIN = fileURLToPath(new URL('../agent/main.js', import.meta.url));

/** Flags of Node, the same as those of `npm start`. */
const NODE_FLAGS = [
  '--max-old-space-size=192',
  '--max-semi-space-size=1',
  '--optimize-for-size',
  '--single-threaded-gc',
  '--v8-pool-size=1',
];

/** Port of the broker, unless another program uses it. */
const USUAL_PORT = 1883;
/** Number of the agent's last lines that are kept. */
const TAIL_LINES = 10;

/** Time that the agent has to end by itself before it is killed. */
const STOP_MS = 5000;

export class DemoAgent {
  readonly #folder: string;
  readonly #options: { readonly fps: number };
  readonly #lost = new AbortController();
  readonly #tail: string[] = [];
  #port = 0;
  #child: ChildProcess | undefined;
  #closed: Promise<void> = Promise.resolve();
  #isStopping = false;

  constructor(folder: string, options: { readonly fps: number } = { fps: 2 }) {
    this.#folder = folder;
    this.#options = options;
  }

  /** Signal that aborts if the agent ends and wasn't stopped. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** The last lines that the agent wrote. */
  get tail(): readonly string[] {
    return this.#tail;
  }

  /** @returns the broker's address. @throws {Error} if the agent ends or `signal` aborts before it is ready. */
  async start(budget: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    this.#port = (await isFree(USUAL_PORT)) ? USUAL_PORT : 0;
    this.#writeConfig(budget);
    const child = spawn(process.execPath, [...NODE_FLAGS, MAIN, 'agent', '--config', this.#config], {
      env: { ...process.env, MALLOC_ARENA_MAX: '1', MAFAT_MODELS: join(this.#folder, 'models') },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    child.once('exit', () => this.kill());
    this.#closed = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        if (!this.#isStopping)
          this.#lost.abort(new Error(`the agent ended (${signal ?? `exit code ${code}`})`));
        resolve();
      });
    });
    return this.#ready(child, AbortSignal.any([signal, this.lost]));
  }

  /** Rewrites the configuration and makes the agent read it again. */
  setBudget(budget: string): void {
    this.#writeConfig(budget);
    this.#child?.kill('SIGHUP');
  }

  /** Stops the agent and waits for its end. A second call is harmless. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#child?.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), STOP_MS);
    await this.#closed;
    clearTimeout(timer);
  }

  /** Kills the agent and its executor. */
  kill(): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch (error) {
      const isGone = (error as NodeJS.ErrnoException).code === 'ESRCH';
      if (!isGone) throw error;
    }
  }

  #ready(child: ChildProcess, signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const { stdout, stderr } = child;
      if (stdout === null || stderr === null)
        throw new TypeError('Cannot read from the agent: it has no output');
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      child.once('error', reject);
      createInterface(stderr).on('line', (line) => this.#keep(line));
      createInterface(stdout).on('line', (line) => {
        this.#keep(line);
        if (line.includes('"agent started"')) resolve((JSON.parse(line) as { server: string }).server);
      });
    });
  }

  #keep(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
  }

  get #config(): string {
    return join(this.#folder, 'agent.yaml');
  }

  /** The largest payload leaves room for photographs. */
  #writeConfig(budget: string): void {
    const { fps } = this.#options;
    writeFileSync(
      this.#config,
      `node: ${DEMO_NODE}
models: [{ name: ${DEMO_MODEL}, threads: ${DEMO_THREADS} }]
memory: { budget: ${budget} }
mqtt: { listen: { port: ${this.#port} }, maxPayload: 16M }
cameras: [{ kind: synthetic, name: camera, model: ${DEMO_MODEL}, fps: ${fps} }]
health: { interval: 1 }
`,
    );
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
