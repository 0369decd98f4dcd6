/**
 * Repeats the experiment of the MAFAT paper (section V), which shows how a network runs as memory gets short.
 *
 * Each contestant runs in a memory cgroup with swap, at each of the `--limits`. A process joins the group after its
 * runtime has started, so the limit bounds the network's memory alone. Node, ONNX Runtime and Python are charged
 * elsewhere; in the paper the program itself takes next to nothing. The model's files are dropped from the page cache
 * before each start, so that reading the weights is charged to the group.
 *
 * The contestants are:
 * - stock ONNX Runtime in its fastest and in its leanest setting, which a run of all settings without a limit finds;
 * - OpenCV, if it is installed;
 * - plans by hand;
 * - the searches, which plan again for each limit and count the weights.
 *
 * At each limit they take turns. A turn loads the network, warms up and runs it `--runs` times. A contestant that the
 * kernel kills may try again. Major faults are those of the process, swapped pages those of the whole machine. This
 * machine's swap is usually faster than the SD card of a board, which favours contestants that swap.
 *
 *     sudo node dist/bench/limits.js [--network yolov2-0-15-608] [--threads 2] [--runs 5]
 *         [--limits none,192M,128M,96M,64M,48M,40M,32M,24M,16M] [--plan NOTATION]... [--json FILE] [--svg FILE]
 *
 * Only root can set limits. Without root each contestant runs once, without a limit.
 */
import type { CommandContext } from '../agent/cli/context.js';
import { withContext } from '../agent/cli/context.js';
import { parseCount, parseMemory } from '../agent/cli/parse-options.js';
import { formatBytes, printLine } from '../agent/cli/print.js';
import type { OutputFlags } from './bench-options.js';
import {
  benchCommand,
  jsonOption,
  listOf,
  optionOf,
  planOption,
  svgOption,
  threadsOption,
} from './bench-options.js';
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
import { runBench, withBenchFolder, writeResults } from './run-bench.js';

const SWAP_BYTES = 2 ** 30;

interface Flags extends OutputFlags {
  readonly network: BenchNetwork;
  readonly threads: number;
  readonly runs: number;
  readonly limits: readonly (number | undefined)[];
  readonly plan?: readonly string[];
}

function readFlags(): Flags {
  return benchCommand('limits', 'Measures how a network runs as memory gets short. Only root can set limits.')
    .addOption(
      optionOf('--network <name>', 'network to run, as named in bench/networks.ts', {
        parse: findNetwork,
        fallback: 'yolov2-0-15-608',
      }),
    )
    .addOption(threadsOption('2'))
    .addOption(optionOf('--runs <number>', 'timed runs in a turn', { parse: parseCount, fallback: '5' }))
    .addOption(
      optionOf('--limits <sizes>', 'limits of memory, separated by commas', {
        parse: listOf((text) => (text === 'none' ? undefined : parseMemory(text))),
        fallback: 'none,192M,128M,96M,64M,48M,40M,32M,24M,16M',
      }),
    )
    .addOption(planOption())
    .addOption(jsonOption())
    .addOption(svgOption())
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
    printLine(`Running without limits, since no memory cgroup can be made here: ${reason}`);
    return undefined;
  }
}

/** Runs `work` with a group and with swap, if this machine allows it, and removes both at the end. */
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
  await withBenchFolder(async (folder) => {
    const rows = await withContext('limits', (context) =>
      withLimits((group) => benchLimits(flags, { context, folder, group })),
    );
    printRows(rows);
    const title = `${flags.network.name}, ${flags.threads} threads`;
    await writeResults(flags, { figures: rows, panels: [panelOf(rows, title)] });
  });
}

await runBench(main);
