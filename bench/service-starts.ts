/**
 * Measures whether the service comes up on a short board, time after time: starts with one model on a board of 160 MB, and
 * with three models on one of 256 MB, without swap.
 *
 *     sudo node dist/bench/service-starts.js [--starts 10] [--quick] [--json FILE]
 *
 * The first start is cold, the others find what the ones before left in the state folder. Each model has a camera with one
 * frame a second. A start serves if every model answers within 10 s and the kernel kills nothing. The exit code is 1
 * if a start doesn't serve.
 */
import { join } from 'node:path';
import { withContext } from '../agent/cli/context.js';
import { parseCount } from '../agent/cli/parse-options.js';
import { formatBytes, formatMs, formatTable, printLine } from '../agent/cli/print.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, optionOf } from './bench-options.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import type { ServiceNetwork } from './service-networks.js';
import { withFiles, YOLO_FASTEST, YOLO_START, YOLO_TINY } from './service-networks.js';
import type { ServiceTurn } from './service-turn.js';
import { takeServiceTurn } from './service-turn.js';

const FPS = 1;
const SECONDS = 15;
const QUICK_STARTS = 3;

interface Board {
  readonly limitBytes: number;
  readonly networks: readonly ServiceNetwork[];
}

const BOARDS: readonly Board[] = [
  { limitBytes: 160 * 2 ** 20, networks: [YOLO_START] },
  { limitBytes: 256 * 2 ** 20, networks: [YOLO_START, YOLO_FASTEST, YOLO_TINY] },
];

interface Flags extends OutputFlags {
  readonly starts: number;
  readonly quick?: boolean;
}

interface StartRow extends ServiceTurn {
  readonly limitBytes: number;
  readonly models: readonly string[];
  readonly start: number;
}

function readFlags(): Flags {
  const flags = benchCommand('service-starts', 'Measures whether the service comes up on a short board.')
    .addOption(optionOf('--starts <number>', 'starts on each board', { parse: parseCount, fallback: '10' }))
    .option('--quick', `${QUICK_STARTS} starts on each board`)
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
  return flags.quick === true ? { ...flags, starts: QUICK_STARTS } : flags;
}

interface Starts {
  readonly starts: number;
  readonly signal: AbortSignal;
}

async function startOn(
  { limitBytes, networks }: Board,
  { starts, signal }: Starts,
): Promise<readonly StartRow[]> {
  return withBenchFolder(async (folder) => {
    const state = join(folder, 'state');
    const served = withFiles(networks);
    for (const { save } of served) await save(state);
    const models = served.map(({ name }) => name);
    const rows: StartRow[] = [];
    for (let start = 1; start <= starts; start += 1) {
      const turn = await takeServiceTurn({
        folder: state,
        models,
        fps: FPS,
        limitBytes,
        seconds: SECONDS,
        signal,
      });
      rows.push({ limitBytes, models, start, ...turn });
      printLine(`${formatBytes(limitBytes)}, start ${start}: ${turn.failure ?? 'serves'}`);
    }
    return rows;
  });
}

const HEADER = ['board', 'models', 'start', 'kills', 'peak', 'first answers', 'verdict'];

function cellsOf({
  limitBytes,
  models,
  start,
  kills,
  peakBytes,
  firstMs,
  failure,
}: StartRow): readonly string[] {
  return [
    formatBytes(limitBytes),
    String(models.length),
    String(start),
    String(kills),
    peakBytes === undefined ? '-' : formatBytes(peakBytes),
    models.map((model) => (firstMs[model] === undefined ? 'none' : formatMs(firstMs[model]))).join(', '),
    failure ?? 'serves',
  ];
}

async function main(): Promise<void> {
  const flags = readFlags();
  const rows = await withContext('starts', async ({ signal }) => {
    const all: StartRow[] = [];
    for (const board of BOARDS) all.push(...(await startOn(board, { ...flags, signal })));
    return all;
  });
  printLine();
  printLine(formatTable(HEADER, rows.map(cellsOf)));
  for (const { limitBytes } of BOARDS) {
    const here = rows.filter((row) => row.limitBytes === limitBytes);
    const serving = here.filter(({ failure }) => failure === undefined).length;
    printLine(`${formatBytes(limitBytes)}: ${serving} of ${here.length} serve`);
  }
  await writeResults(flags, { figures: rows, panels: [] });
  if (rows.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
}

await runBench(main);
