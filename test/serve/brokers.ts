/** Real brokers for tests: the embedded one, and Mosquitto where it is installed. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmbeddedBroker } from '../../agent/serve/broker/embedded-broker.js';

export interface StartedBroker {
  readonly url: string;
  /** For the node's own connection. */
  readonly login: { readonly username?: string; readonly password?: string };
  stop(): Promise<void>;
}

export interface TestBroker {
  readonly name: string;
  /** For `test(name, { skip })`. */
  readonly skip: string | false;
  start(port: number): Promise<StartedBroker>;
}

export const MOSQUITTO = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto'].find(
  existsSync,
);

export const BROKERS: readonly TestBroker[] = [
  { name: 'the embedded broker', skip: false, start: startEmbedded },
  {
    name: 'Mosquitto',
    skip: MOSQUITTO === undefined ? 'mosquitto is not installed' : false,
    start: startMosquitto,
  },
];

async function startEmbedded(port: number): Promise<StartedBroker> {
  const broker = new EmbeddedBroker({ host: '127.0.0.1', port, base: 'mafat' });
  const { url, ...login } = await broker.start();
  return { url, login, stop: () => broker.stop() };
}

async function startMosquitto(port: number): Promise<StartedBroker> {
  const folder = mkdtempSync(join(tmpdir(), 'mafat-mosquitto-'));
  const config = join(folder, 'mosquitto.conf');
  writeFileSync(config, `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n`);
  const child = spawn(MOSQUITTO ?? '', ['-c', config], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await listening(port);
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  return { url: `mqtt://127.0.0.1:${port}`, login: {}, stop };
}

export async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await sleep(50);
  }
  throw new Error(`no broker on port ${port}`);
}

/** A port that nothing listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}
