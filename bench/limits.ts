/**
 * The experiment of the MAFAT paper (section V): how a network runs as memory gets short.
 *
 * Each contestant runs inside a memory cgroup from no limit down to `--limits`, with swap. The limit bounds
 * what the network needs: a process joins the group when its runtime has started, so Node, ONNX Runtime or
 * Python itself, which are there before and the same at every limit, are charged elsewhere. (In the paper the
 * program itself takes next to nothing.) The model's files are put out of the page cache before each start, so
 * that the weights read are charged to the group, too.
 *
 * Contestants: stock ONNX Runtime in its fastest and in its leanest setting, found by a run of all settings
 * without a limit; plans by hand; and the searches, which plan anew for each limit with the weights counted.
 * At each limit they take turns; a turn loads, warms up and runs `--runs` times. Killed ones get three tries.
 * Major faults are the process's, swapped pages the whole machine's, both per run. Swap is usually faster here
 * than on a board's SD card: that flatters those who swap.
 *
 * As root: sudo node dist/bench/limits.js [--network yolov2-0-15-608] [--threads 2] [--runs 5]
 *     [--limits none,192M,128M,96M,64M,48M,40M,32M,24M,16M] [--plan NOTATION]... [--json FILE] [--svg FILE]
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { drawChart } from '../agent/cli/chart.js';
import type { CommandContext } from '../agent/cli/context.js';
import { withContext } from '../agent/cli/context.js';
import { collect, parseCount, parseMemory, parseNotation, parseThreads } from '../agent/cli/parse-options.js';
import { formatBytes, printLine } from '../agent/cli/print.js';
import { MemoryGroup } from './cgroup.js';
import { ensureSwap } from './cgroup-swap.js';
import type { Contender } from './limits-contenders.js';
import { findContenders } from './limits-contenders.js';
import type { LimitRow } from './limits-report.js';
import { panelOf, printRows } from './limits-report.js';
import { takeLimitedTurn } from './limits-turn.js';
import type { BenchNetwork } from './networks.js';
import { findNetwork } from './networks.js';
import { prepareNetwork } from './prepare-network.js';
import { runBench } from './run-bench.js';

const SWAP_BYTES = 2 ** 30;
const MEGA = 2 ** 20;

interface Flags {
  readonly network: BenchNetwork;
  readonly threads: number;
  readonly runs: number;
  readonly limits: readonly (number | undefined)[];
  readonly plan?: readonly string[];
  readonly json?: string;
  readonly svg?: string;
}

function readFlags(): Flags {
  const parseLimits = (text: string) =>
    text.split(',').map((part) => (part.trim() === 'none' ? undefined : parseMemory(part.trim())));
  const limits = [undefined, ...[192, 128, 96, 64, 48, 40, 32, 24, 16].map((mega) => mega * MEGA)];
  return new Command('limits')
    .option('--network <name>', 'one of bench/networks', findNetwork, findNetwork('yolov2-0-15-608'))
    .option('--threads <number>', 'threads of one operator', parseThreads, 2)
    .option('--runs <number>', 'timed runs a turn', parseCount, 5)
    .option('--limits <sizes>', 'by commas', parseLimits, limits)
    .option('--plan <notation>', 'in place of the plans by hand', (text, all?: readonly string[]) =>
      collect(parseNotation(text), all),
    )
    .option('--json <file>', 'write all figures')
    .option('--svg <file>', 'write a plot')
    .parse()
    .opts<Flags>();
}

interface Room {
  readonly context: CommandContext;
  readonly folder: string;
  readonly group: MemoryGroup | undefined;
}

async function benchLimits(flags: Flags, room: Room): Promise<readonly LimitRow[]> {
  const prepared = await prepareNetwork(flags.network, room);
  const { threads, plan: notations = flags.network.plans } = flags;
  const contenders = await findContenders(prepared, { ...room, threads, notations });
  const limits = room.group === undefined ? [undefined] : flags.limits;
  const rows: LimitRow[] = [];
  for (const limitBytes of limits) {
    for (const contender of contenders) {
      const place = { ...room, limitBytes, runs: flags.runs };
      rows.push(await runContender(contender, { ...place, folder: prepared.network.folder }));
    }
  }
  return rows;
}

interface Turn extends Room {
  readonly limitBytes: number | undefined;
  readonly runs: number;
}

async function runContender(contender: Contender, turn: Turn): Promise<LimitRow> {
  const { context, limitBytes } = turn;
  context.signal.throwIfAborted();
  context.progress.show(
    `${limitBytes === undefined ? 'no limit' : formatBytes(limitBytes)}: ${contender.name}`,
  );
  const contestant = contender.at(limitBytes);
  const { party, name } = contender;
  return {
    party,
    contender: name,
    ran: contestant.name,
    limitBytes,
    ...(await takeLimitedTurn(contestant, turn)),
  };
}

function openGroup(): MemoryGroup | undefined {
  try {
    return MemoryGroup.create(`mafat-limits-${process.pid}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    printLine(`Without limits: no memory cgroup can be made here (${reason})`);
    return undefined;
  }
}

/** Runs `work` with a group and swap where they can be had, and takes both away whatever happens. */
async function withLimits<T>(work: (group: MemoryGroup | undefined) => Promise<T>): Promise<T> {
  const group = openGroup();
  const swap = group === undefined ? undefined : await ensureSwap(SWAP_BYTES);
  try {
    if (group !== undefined) printLine(`memory cgroup v${group.version}; swap: ${swap?.description}`);
    return await work(group);
  } finally {
    await group?.remove();
    await swap?.remove();
  }
}

async function main(): Promise<void> {
  const flags = readFlags();
  const folder = await mkdtemp(join(tmpdir(), 'mafat-bench-'));
  try {
    const rows = await withContext('limits', (context) =>
      withLimits((group) => benchLimits(flags, { context, folder, group })),
    );
    printRows(rows);
    if (flags.json !== undefined) await writeFile(flags.json, JSON.stringify(rows, null, 2));
    const title = `${flags.network.name}, ${flags.threads} threads`;
    if (flags.svg !== undefined) await writeFile(flags.svg, drawChart([panelOf(rows, title)]));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await runBench(main);
