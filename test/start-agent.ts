/** A real agent in a process of its own, for tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { detectorModels, runMafat, temporaryFolder } from './fixtures.js';

const MAIN = fileURLToPath(new URL('../agent/main.js', import.meta.url));

export interface AgentSetUp {
  readonly port: number;
  readonly server: string;
  /** Folder of an agent that ran before, with its models and its state. */
  readonly folder?: string;
  readonly budget?: string;
  /** Store that the models are copied from. */
  readonly models?: string;
  /** Model that is served. */
  readonly model?: string;
  /** Frames a second of the camera. */
  readonly fps?: number;
  /** Variables in addition to this process's. */
  readonly env?: Readonly<Record<string, string>>;
  /** The camera instead of a synthetic one: a map in YAML. */
  readonly camera?: string;
  /** The whole configuration instead of one of these parts. */
  readonly yaml?: string;
  /** Cameras in addition to it, as maps in YAML. */
  readonly cameras?: readonly string[];
}

/** Starts an agent that serves a model, the synthetic detector by default, with a synthetic camera; ended with the test. */
export function startAgent(
  context: TestContext,
  {
    port,
    server,
    folder = temporaryFolder(context),
    budget = '64M',
    models: source = detectorModels(),
    model = 'detector',
    fps = 2,
    env = {},
    camera = `{ kind: synthetic, name: cam, model: ${model}, fps: ${fps} }`,
    cameras = [],
    yaml,
  }: AgentSetUp,
) {
  const models = join(folder, 'models');
  if (!existsSync(models)) cpSync(source, models, { recursive: true });
  const config = join(folder, 'agent.yaml');
  const writeConfig = (bytes: string, text?: string) =>
    writeFileSync(
      config,
      text ??
        `node: test
models: [{ name: ${model} }]
memory: { budget: ${bytes} }
mqtt: { server: '${server}', listen: { port: ${port} } }
cameras:
${[camera, ...cameras].map((map) => `- ${map}`).join('\n')}
health: { interval: 1 }
`,
    );
  writeConfig(budget, yaml);
  const child = spawn(process.execPath, [MAIN, 'agent', '--config', config], {
    env: { ...process.env, ...env, MAFAT_MODELS: models },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  context.after(() => child.kill('SIGKILL'));
  let log = '';
  const keep = (chunk: Buffer) => {
    log += chunk.toString();
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep).pipe(process.stderr, { end: false });
  const url = `mqtt://127.0.0.1:${port}`;
  return {
    child,
    folder,
    reload: (bytes: string) => {
      writeConfig(bytes);
      child.kill('SIGHUP');
    },
    /** Has it take over another file. */
    rewrite: (text: string) => {
      writeConfig('', text);
      child.kill('SIGHUP');
    },
    /** Waits until a text has come so many times, in the log or among errors. */
    logged: (text: string, times = 1) => until(() => log.split(text).length > times),
    /** All that it has logged so far. */
    log: () => log,
    ask: (command: string, ...args: readonly string[]) =>
      runMafat(models, command, '--server', url, '--node', 'test', ...args),
    rows: <Row>(sql: string) => readRows<Row>(join(folder, 'agent.db'), sql),
    stop: () => stopAgent(child),
  };
}

/** Rows of an agent's database, whether it runs or has ended. */
function readRows<Row>(file: string, sql: string): readonly Row[] {
  const database = new Database(file, { readonly: true });
  try {
    return database.prepare<[], Row>(sql).all();
  } finally {
    database.close();
  }
}

/** Exit code of an agent that is asked to end; it has 5 s. */
async function stopAgent(child: ChildProcess): Promise<number | null> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const code = await Promise.race([
    exited.then(([value]) => value as number | null),
    sleep(5000, -1, { ref: false }),
  ]);
  return code;
}

/** Waits for something to come about, up to 30 s: tests may share few cores. */
export async function until(holds: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 1200; attempt += 1) {
    if (holds()) return;
    await sleep(25);
  }
  throw new Error('it did not come about within 30 s');
}
