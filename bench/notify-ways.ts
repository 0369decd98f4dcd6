/**
 * Compares ways to send a datagram to the service manager's unix socket, which Node.js can't open.
 *
 *     node dist/bench/notify-ways.js          needs python3, which receives
 *     npm install --no-save koffi             for the way that calls the C library
 *
 * Each way runs in a process of its own with the agent's flags and sends 100 messages, 50 ms apart. Private memory
 * (RssAnon + VmSwap) is compared with that before, after a collection. "helper" is that of a process that stays.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readProcessMemory } from '../agent/board/process-memory.js';
import { formatTable, printLine } from '../agent/cli/print.js';

const MESSAGE = 'WATCHDOG=1';
const MESSAGES = 100;
const PAUSE_MS = 50;
const SETTLE_MS = 500;

/** As the unit starts the agent. */
const FLAGS = [
  '--expose-gc',
  '--max-semi-space-size=1',
  '--optimize-for-size',
  '--single-threaded-gc',
  '--v8-pool-size=1',
];

const RECEIVER = `
import socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print(flush=True)
while True: receiver.recv(65536)
`;

const PERL = `
use Socket; socket(my $s, AF_UNIX, SOCK_DGRAM, 0); my $a = sockaddr_un($ARGV[0]);
while (<STDIN>) { chomp; send($s, $_, 0, $a) }
`;

interface Way {
  readonly send: () => Promise<unknown>;
  /** Process that stays between messages. */
  readonly helperPid?: number | undefined;
}

const WAYS: Readonly<Record<string, (socket: string) => Promise<Way>>> = {
  'systemd-notify': async (socket) => ({
    send: () =>
      once(spawn('systemd-notify', [MESSAGE], { stdio: 'ignore', env: environmentOf(socket) }), 'exit'),
  }),
  'systemd-notify with pipes': async (socket) => ({
    send: () => promisify(execFile)('systemd-notify', [MESSAGE], { env: environmentOf(socket) }),
  }),
  'perl that stays': async (socket) => {
    const child = spawn('perl', ['-e', PERL, socket], { stdio: ['pipe', 'ignore', 'inherit'] });
    return { send: async () => child.stdin.write(`${MESSAGE}\n`), helperPid: child.pid };
  },
  koffi: async (socket) => {
    const name = 'koffi';
    const { default: koffi } = (await import(name)) as {
      default: { load(file: string): { func(declaration: string): (...args: readonly unknown[]) => number } };
    };
    const library = koffi.load('libc.so.6');
    const descriptor = library.func('int socket(int, int, int)')(1, 2, 0);
    const send = library.func('long sendto(int, const char *, size_t, int, const void *, uint32_t)');
    const address = Buffer.from(`\0\0${socket}\0`);
    address.writeUInt16LE(1);
    return { send: async () => send(descriptor, MESSAGE, MESSAGE.length, 0, address, address.length) };
  },
};

function environmentOf(socket: string): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, NOTIFY_SOCKET: socket };
}

async function settledBytes(): Promise<number> {
  globalThis.gc?.();
  await sleep(SETTLE_MS);
  return privateBytes(process.pid);
}

function privateBytes(pid: number): number {
  const { rssAnonBytes, swapBytes } = readProcessMemory(pid);
  return rssAnonBytes + swapBytes;
}

/** One way, in this process; prints a row. */
async function measure(name: string, socket: string): Promise<void> {
  const before = await settledBytes();
  const way = await WAYS[name]?.(socket);
  if (way === undefined)
    throw new RangeError(`Cannot measure ${name}: expected ${Object.keys(WAYS).join(', ')}`);
  const loaded = await settledBytes();
  const start = process.cpuUsage();
  for (let sent = 0; sent < MESSAGES; sent += 1) {
    await way.send();
    await sleep(PAUSE_MS);
  }
  const { user, system } = process.cpuUsage(start);
  const after = await settledBytes();
  const helper = way.helperPid === undefined ? 0 : privateBytes(way.helperPid);
  const kilobytes = [loaded - before, after - before, helper].map((bytes) => (bytes / 1024).toFixed(0));
  printLine([...kilobytes, ((user + system) / MESSAGES / 1000).toFixed(2)].join(','));
  process.exit();
}

async function compare(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'mafat-notify-'));
  const socket = join(folder, 'notify');
  const receiver = spawn('python3', ['-c', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(receiver.stdout, 'data');
  const rows: (readonly string[])[] = [];
  for (const name of Object.keys(WAYS)) {
    const args = [...FLAGS, fileURLToPath(import.meta.url), name, socket];
    const env = { ...process.env, MALLOC_ARENA_MAX: '1' };
    const row = await promisify(execFile)(process.execPath, args, { env }).catch(() => undefined);
    rows.push([name, ...(row?.stdout.trim().split(',') ?? ['-', '-', '-', '-'])]);
  }
  receiver.kill();
  rmSync(folder, { recursive: true });
  printLine(
    formatTable(['way', 'loaded, KB', `after ${MESSAGES}, KB`, 'helper, KB', 'own CPU each, ms'], rows),
  );
}

const [name, socket] = process.argv.slice(2);
await (name === undefined || socket === undefined ? compare() : measure(name, socket));
