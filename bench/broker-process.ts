/** Mosquitto as a broker of its own for a bench, which may be restarted. It keeps nothing over a restart. */
import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, isOpen } from './service-port.js';

const POLL_MS = 20;

/** Time for the broker to listen. */
const START_MS = 10_000;

/** Debian has it outside of an ordinary user's path. */
const PATH = `${process.env.PATH ?? ''}:/usr/sbin`;

export class BrokerProcess {
  readonly server: string;
  readonly #port: number;
  readonly #config: string;
  #child: ChildProcess | undefined;

  private constructor(port: number, config: string) {
    this.server = `mqtt://127.0.0.1:${port}`;
    this.#port = port;
    this.#config = config;
  }

  /** @returns undefined if mosquitto isn't installed. */
  static async start(folder: string): Promise<BrokerProcess | undefined> {
    const isHere = spawnSync('mosquitto', ['-h'], { env: { PATH } }).error === undefined;
    if (!isHere) return undefined;
    const port = await freePort();
    const config = join(folder, 'mosquitto.conf');
    writeFileSync(config, `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\n`);
    const broker = new BrokerProcess(port, config);
    await broker.#run();
    return broker;
  }

  /** The broker is away for some time. @param signalName how it ends. */
  async restart(awayMs: number, signalName: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.stop(signalName);
    await sleep(awayMs);
    await this.#run();
  }

  async stop(signalName: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signalName);
    await exited;
  }

  async #run(): Promise<void> {
    this.#child = spawn('mosquitto', ['-c', this.#config], {
      env: { ...process.env, PATH },
      stdio: 'ignore',
    });
    const untilMs = performance.now() + START_MS;
    while (!(await isOpen(this.#port))) {
      if (performance.now() > untilMs) throw new Error(`mosquitto does not listen on port ${this.#port}`);
      await sleep(POLL_MS);
    }
  }
}
