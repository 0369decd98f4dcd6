/** Brokers that misbehave, for tests: Mosquitto as it is told to, and any broker behind a gate. */
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmbeddedBroker } from '../../../agent/serve/broker/embedded-broker.js';
import { temporaryFolder } from '../../fixtures.js';
import { freePort } from '../brokers.js';

const MOSQUITTO = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto'].find(existsSync);

/** For `test(name, { skip }, ...)`. */
export const skipWithoutMosquitto = MOSQUITTO === undefined ? 'mosquitto is not installed' : false;

/** Ends with the test, even if it is frozen. */
export async function startMosquitto(context: TestContext, settings: readonly string[] = []) {
  const port = await freePort();
  const file = join(temporaryFolder(context), 'mosquitto.conf');
  const write = (lines: readonly string[]) =>
    writeFileSync(
      file,
      [`listener ${port} 127.0.0.1`, 'persistence false', 'user root', ...lines, ''].join('\n'),
    );
  write(['allow_anonymous true', ...settings]);
  const child = spawn(MOSQUITTO ?? '', ['-c', file], { stdio: 'ignore' });
  context.after(() => child.kill('SIGKILL'));
  await listening(port);
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    freeze: () => child.kill('SIGSTOP'),
    reload: (lines: readonly string[]) => {
      write(lines);
      child.kill('SIGHUP');
    },
  };
}

/** MQTT 3.1.1 only; ends with the test. */
export async function startEmbedded(
  context: TestContext,
  options: { readonly maxPacketBytes?: number } = {},
) {
  const broker = new EmbeddedBroker({ host: '127.0.0.1', port: 0, base: 'mafat', ...options });
  const { url, ...login } = await broker.start();
  context.after(() => broker.stop());
  return { url, login, port: Number(new URL(url).port) };
}

/** What is done with an attempt to connect; an answer takes the place of the broker's, and the line is cut. */
export type Verdict = 'pass' | 'hang up' | Uint8Array;

export interface Attempt {
  /** 0 for the first. */
  readonly count: number;
  /** 5, or 4 for MQTT 3.1.1. */
  readonly version: number;
}

/** A port that leads to a broker's, past a judge of each attempt. */
export async function openGate(context: TestContext, port: number, judge: (attempt: Attempt) => Verdict) {
  const versions: number[] = [];
  const arrivedMs: number[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    arrivedMs.push(performance.now());
    socket.once('data', (first: Buffer) => {
      const version = versionOf(first);
      const verdict = judge({ count: versions.push(version) - 1, version });
      if (verdict === 'pass') pass(first, { socket, port });
      else if (verdict === 'hang up') socket.destroy();
      else socket.end(verdict);
    });
  });
  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  context.after(() => {
    cutAll();
    server.close();
  });
  const gatePort = await freePort();
  await new Promise<void>((resolve) => server.listen(gatePort, '127.0.0.1', resolve));
  return { url: `mqtt://127.0.0.1:${gatePort}`, versions, arrivedMs, cutAll };
}

function pass(first: Buffer, { socket, port }: { readonly socket: Socket; readonly port: number }): void {
  const broker = connect(port, '127.0.0.1').on('error', () => socket.destroy());
  broker.write(first);
  socket.pipe(broker).pipe(socket);
  socket.once('close', () => broker.destroy());
}

/** The byte after the protocol's name in CONNECT. */
function versionOf(connectPacket: Buffer): number {
  return connectPacket[connectPacket.indexOf('MQTT') + 4] ?? 0;
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await sleep(50);
  }
  throw new Error(`no broker on port ${port}`);
}
