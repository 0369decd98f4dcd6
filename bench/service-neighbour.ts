/**
 * Measures how the service gives way to a neighbour. Both are in one memory cgroup of 512 MB. Within a second the neighbour
 * takes all but what the service needs at least, plus 20 %: its smallest plan, the agent and the idle executor.
 *
 *     sudo node dist/bench/service-neighbour.js [--repetitions 10] [--quick] [--json FILE]
 *
 * It is done with swap and without, with a camera that runs and with a model that is idle. Each repetition is a new start of
 * the agent in the same state folder. The network is YOLOv2's first 16 layers. A repetition is met if private memory is
 * inside the new room within 500 ms or one frame after that second, the kernel kills nothing, and less than 5 MB of the
 * service are swapped out. The exit code is 1 if one isn't met. A machine without swap gets a file for the time.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withContext } from '../agent/cli/context.js';
import { parseCount } from '../agent/cli/parse-options.js';
import { formatBytes, formatMs, formatTable, printLine } from '../agent/cli/print.js';
import { median } from '../shared/predict/index.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, optionOf } from './bench-options.js';
import { ensureSwap } from './cgroup-swap.js';
import { drawImage } from './draw-image.js';
import type { Repetition } from './neighbour-turn.js';
import { repeatOnce } from './neighbour-turn.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import { YOLO_START } from './service-networks.js';

const SWAP_BYTES = 2 ** 31;
const QUICK_REPETITIONS = 2;

interface Flags extends OutputFlags {
  readonly repetitions: number;
  readonly quick?: boolean;
}

function readFlags(): Flags {
  const flags = benchCommand('service-neighbour', 'Measures how the service gives way to a neighbour.')
    .addOption(
      optionOf('--repetitions <number>', 'repetitions of each case', { parse: parseCount, fallback: '10' }),
    )
    .option('--quick', `${QUICK_REPETITIONS} repetitions of each case`)
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
  return flags.quick === true ? { ...flags, repetitions: QUICK_REPETITIONS } : flags;
}

const HEADER = ['swap', 'load', 'before', 'room', 'inside after', 'kills', 'swapped', 'answers', 'verdict'];

function cellsOf(row: Repetition): readonly string[] {
  const { swap, load, beforeBytes, roomBytes, settledMs, kills, swappedBytes, answers, failure } = row;
  return [
    swap ? 'yes' : 'no',
    load,
    formatBytes(beforeBytes),
    formatBytes(roomBytes),
    settledMs === undefined ? '-' : formatMs(settledMs),
    String(kills),
    formatBytes(swappedBytes),
    String(answers),
    failure ?? 'met',
  ];
}

function printSummary(rows: readonly Repetition[]): void {
  for (const swap of [true, false]) {
    for (const load of ['camera', 'idle'] as const) {
      const here = rows.filter((row) => row.swap === swap && row.load === load);
      if (here.length === 0) continue;
      const met = here.filter(({ failure }) => failure === undefined).length;
      const times = here.map(({ settledMs }) => settledMs ?? Number.POSITIVE_INFINITY);
      const inside = Number.isFinite(median(times)) ? formatMs(median(times)) : 'never';
      printLine(
        `${swap ? 'with' : 'without'} swap, ${load}: ${met} of ${here.length} met, inside after ${inside} (median)`,
      );
    }
  }
}

interface Job {
  readonly folder: string;
  readonly repetitions: number;
  readonly signal: AbortSignal;
}

/** Cases with swap are left out where there can't be any. */
async function repeatAll({ folder, repetitions, signal }: Job): Promise<readonly Repetition[]> {
  await YOLO_START.save(folder);
  const image = readFileSync(await drawImage(join(folder, 'shapes.jpg')));
  const swapFile = await ensureSwap(SWAP_BYTES);
  printLine(`swap: ${swapFile.description}`);
  const hasSwap = !swapFile.description.startsWith('none');
  const rows: Repetition[] = [];
  try {
    for (const swap of hasSwap ? [true, false] : [false]) {
      for (const load of ['camera', 'idle'] as const) {
        for (let left = repetitions; left > 0; left -= 1) {
          const row = await repeatOnce({ folder, image, load, swap, signal });
          rows.push(row);
          printLine(cellsOf(row).join('  '));
        }
      }
    }
  } finally {
    await swapFile.remove();
  }
  return rows;
}

async function main(): Promise<void> {
  const flags = readFlags();
  const rows = await withContext('neighbour', ({ signal }) =>
    withBenchFolder((folder) => repeatAll({ ...flags, folder, signal })),
  );
  printLine();
  printLine(formatTable(HEADER, rows.map(cellsOf)));
  printSummary(rows);
  await writeResults(flags, { figures: rows, panels: [] });
  if (rows.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
}

await runBench(main);
