/**
 * Kills a process that writes to the agent's store, again and again, and opens the store after each kill. Then opens
 * stores that are broken in other ways.
 *
 *     node dist/bench/store-kills.js [--times 500] [--seed 1] [--json FILE]
 *
 * Each time a process opens the same file, writes generations of rows (store-content.ts) and is killed some milliseconds
 * after its first write. Every tenth time the file is new, and the process is killed while it makes the file. The store
 * must then open without a problem, which includes SQLite's quick_check, and hold the last generation that was written as
 * a whole. Nothing is proved for power cuts, where the page cache is lost, too.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseCount, parseSeed } from '../agent/cli/parse-options.js';
import { formatTable, printLine } from '../agent/cli/print.js';
import { startProgress } from '../agent/cli/progress.js';
import { Store } from '../agent/store/store.js';
import { mulberry32 } from '../shared/darknet/index.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, optionOf } from './bench-options.js';
import type { BrokenStore } from './broken-stores.js';
import { openBrokenStores } from './broken-stores.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import { faultsOf } from './store-content.js';

const WRITER = fileURLToPath(new URL('./store-writer.js', import.meta.url));

/** Each of that many files is new, and its writer is killed while it makes the file. */
const NEW_EVERY = 10;

/** Bounds of the time from the first write, or from the beginning of a new file, to the kill. */
const KILL_MS = { written: { least: 3, most: 40 }, making: { least: 0, most: 15 } } as const;

interface KillCounts {
  kills: number;
  /** Kills while a new file was made. */
  making: number;
  generations: number;
  /** Kills after which the store opened without a problem and held what it should. */
  good: number;
  readonly faults: string[];
}

/** Runs a writer and kills it. @returns the lines that it wrote. */
async function killWriter(
  path: string,
  { confirmed, killAfter, ms }: { confirmed: number; killAfter: RegExp; ms: number },
): Promise<readonly string[]> {
  const child = spawn(process.execPath, [WRITER, path, String(confirmed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  const isReady = new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk) => {
      text += chunk;
      if (killAfter.test(text)) resolve();
    });
    child.once('close', () => resolve());
  });
  await isReady;
  await sleep(ms);
  await kill(child);
  return text.split('\n').slice(0, -1);
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null)
    throw new Error(`the writer ended by itself: ${child.signalCode ?? `exit code ${child.exitCode}`}`);
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

interface Kill {
  readonly path: string;
  readonly confirmed: number;
  readonly isNew: boolean;
  /** Random number from 0 to 1. */
  readonly moment: number;
}

/** @returns the last generation that was written as a whole, and what is wrong. */
async function killOnce({ path, confirmed, isNew, moment }: Kill) {
  const { least, most } = isNew ? KILL_MS.making : KILL_MS.written;
  const killAfter = isNew ? /^opening\n/ : /^opening\n(error.*\n)*\d+\n/;
  const ms = least + moment * (most - least);
  const lines = await killWriter(path, { confirmed, killAfter, ms });
  const errors = lines.filter((line) => line.startsWith('error'));
  const last = lines.filter((line) => /^\d+$/.test(line)).at(-1);
  const now = last === undefined ? confirmed : Number(last);
  return { confirmed: now, faults: [...errors, ...openAgain(path, now)] };
}

/** Opens the store as the agent does. @returns what is wrong with it. */
function openAgain(path: string, confirmed: number): readonly string[] {
  const faults: string[] = [];
  const store = new Store(path, { replaces: true, onError: (error) => faults.push(error.message) });
  store.start();
  if (store.problem !== undefined) faults.push(`not opened: ${store.problem.reason}`);
  else faults.push(...faultsOf(store, confirmed));
  store.stop();
  return faults;
}

async function killTimes(folder: string, { times, seed }: Flags): Promise<KillCounts> {
  const random = mulberry32(seed);
  const progress = startProgress('killing writers');
  const counts: KillCounts = { kills: 0, making: 0, generations: 0, good: 0, faults: [] };
  const path = join(folder, 'agent.db');
  let confirmed = 0;
  for (let at = 0; at < times; at += 1) {
    const isNew = at % NEW_EVERY === 0;
    if (isNew) removeStore(folder);
    const before = isNew ? 0 : confirmed;
    const kill = await killOnce({ path, confirmed: before, isNew, moment: random() });
    // A part of the next generation may be there, so the next writer begins one later.
    confirmed = kill.confirmed + 1;
    counts.kills += 1;
    counts.making += Number(isNew);
    counts.generations += kill.confirmed - before;
    counts.good += Number(kill.faults.length === 0);
    counts.faults.push(...kill.faults.map((fault) => `kill ${at}: ${fault}`));
    progress.show(`${counts.kills} of ${times} kills, ${counts.good} good`);
  }
  progress.stop();
  return counts;
}

function removeStore(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
}

function printResults(
  { kills, making, generations, good, faults }: KillCounts,
  stores: readonly BrokenStore[],
): void {
  printLine(`${kills} kills, ${making} of them while the file was made; ${generations} generations written`);
  printLine(
    `${good} of ${kills} opened without a problem and held whole fronts, answers, costs and messages`,
  );
  for (const fault of faults) printLine(fault);
  const rows = stores.map(({ name, kind, place, serves }) => [name, kind, place, serves ? 'yes' : 'NO']);
  printLine();
  printLine(formatTable(['broken store', 'problem', 'served from', 'serves'], rows));
}

interface Flags extends OutputFlags {
  readonly times: number;
  readonly seed: number;
}

async function main(): Promise<void> {
  const flags = benchCommand(
    'store-kills',
    "Kills a process that writes to the agent's store again and again.",
  )
    .addOption(optionOf('--times <number>', 'number of kills', { parse: parseCount, fallback: '500' }))
    .addOption(optionOf('--seed <number>', 'seed of the random choices', { parse: parseSeed, fallback: '1' }))
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
  const kills = await withBenchFolder((folder) => killTimes(folder, flags));
  const stores = await withBenchFolder((folder) => Promise.resolve(openBrokenStores(folder)));
  printResults(kills, stores);
  await writeResults(flags, { figures: { kills, stores }, panels: [] });
  const isGood = kills.good === kills.kills && stores.every(({ serves }) => serves);
  if (!isGood) process.exitCode = 1;
}

await runBench(main);
