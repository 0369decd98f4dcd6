/**
 * Measures the whole service on boards of less and less memory: agent, executor, searches and page cache in one memory
 * cgroup without swap. Beside it runs a program in C++ with OpenCV.
 *
 *     sudo node dist/bench/service-limits.js [--limits 512M,256M,192M,160M,128M,96M] [--seconds 60] [--quick] [--json FILE]
 *
 * The network is YOLOv2's first 16 layers at 608x608. Each start is cold: the state folder holds the model alone, and
 * neither it nor Node's program is in the page cache. A synthetic camera gives 2 frames a second. Serving means no OOM kill,
 * a first answer within 10 s, and answers to the end. Below the smallest of the limits that serves, smaller ones are tried
 * in steps of 16 MB. The exit code is 1 if one of the limits doesn't serve.
 *
 * Pages of libraries that other processes of the machine have read aren't charged to the group.
 */
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { withContext } from '../agent/cli/context.js';
import { parseCount, parseMemory } from '../agent/cli/parse-options.js';
import { formatBytes, formatMs, formatTable, printLine } from '../agent/cli/print.js';
import { median } from '../shared/predict/index.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, listOf, optionOf } from './bench-options.js';
import { findNetwork } from './networks.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import { YOLO_START } from './service-networks.js';
import type { Rival } from './service-rival.js';
import { prepareRival, takeRivalTurn } from './service-rival.js';
import type { ServiceTurn } from './service-turn.js';
import { takeServiceTurn } from './service-turn.js';

const FPS = 2;
const STEP_BYTES = 16 * 2 ** 20;
const QUICK_SECONDS = 20;

interface Flags extends OutputFlags {
  readonly limits: readonly number[];
  readonly seconds: number;
  readonly quick?: boolean;
}

interface LimitRow extends ServiceTurn {
  readonly who: 'mafat' | 'OpenCV';
  readonly limitBytes: number;
}

function readFlags(): Flags {
  const flags = benchCommand(
    'service-limits',
    'Measures the whole service on boards of less and less memory.',
  )
    .addOption(
      optionOf('--limits <sizes>', 'limits of memory, separated by commas', {
        parse: listOf(parseMemory),
        fallback: '512M,256M,192M,160M,128M,96M',
      }),
    )
    .addOption(optionOf('--seconds <number>', 'time at each limit', { parse: parseCount, fallback: '60' }))
    .option('--quick', `${QUICK_SECONDS} s at each limit`)
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
  return flags.quick === true ? { ...flags, seconds: QUICK_SECONDS } : flags;
}

interface Place {
  readonly folder: string;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** The service with a fresh state folder. */
async function serveWithin(limitBytes: number, { folder, ...place }: Place): Promise<LimitRow> {
  const state = join(folder, 'state');
  await cp(join(folder, 'stored'), state, { recursive: true });
  const turn = await takeServiceTurn({
    folder: state,
    models: [YOLO_START.name],
    fps: FPS,
    limitBytes,
    ...place,
  });
  await rm(state, { recursive: true });
  return announced({ who: 'mafat', limitBytes, ...turn });
}

function announced(row: LimitRow): LimitRow {
  printLine(`${row.who} at ${formatBytes(row.limitBytes)}: ${row.failure ?? 'serves'}`);
  return row;
}

/** Rows at the limits, then at smaller ones until one doesn't serve. */
async function findSmallest(limits: readonly number[], place: Place): Promise<readonly LimitRow[]> {
  const rows: LimitRow[] = [];
  for (const limitBytes of limits) rows.push(await serveWithin(limitBytes, place));
  const failed = new Set(rows.filter(({ failure }) => failure !== undefined).map((row) => row.limitBytes));
  let limitBytes = smallestServing(rows) - STEP_BYTES;
  while (Number.isFinite(limitBytes) && limitBytes > 0 && !failed.has(limitBytes)) {
    const row = await serveWithin(limitBytes, place);
    rows.push(row);
    if (row.failure !== undefined) break;
    limitBytes -= STEP_BYTES;
  }
  return rows;
}

function smallestServing(rows: readonly LimitRow[]): number {
  return Math.min(...rows.filter(({ failure }) => failure === undefined).map((row) => row.limitBytes));
}

async function runRival(
  rival: Rival,
  { limits, seconds, signal }: Flags & Place,
): Promise<readonly LimitRow[]> {
  const rows: LimitRow[] = [];
  for (const limitBytes of limits) {
    const turn = await takeRivalTurn(rival, { limitBytes, fps: FPS, seconds, signal });
    rows.push(announced({ who: 'OpenCV', limitBytes, ...turn }));
  }
  return rows;
}

const HEADER = [
  'limit',
  'who',
  'kills',
  'first answer',
  'median',
  'p95',
  'frames',
  'peak',
  'last plan',
  'verdict',
];

function cellsOf(row: LimitRow): readonly string[] {
  const { who, limitBytes, kills, firstMs, frames, peakBytes, failure } = row;
  const latencies = frames.map(({ latencyMs }) => latencyMs).toSorted((a, b) => a - b);
  const first = Object.values(firstMs)[0];
  return [
    formatBytes(limitBytes),
    who,
    String(kills),
    first === undefined ? '-' : formatMs(first),
    frames.length === 0 ? '-' : formatMs(median(latencies)),
    frames.length === 0 ? '-' : formatMs(latencies[Math.floor(0.95 * latencies.length)] ?? 0),
    String(frames.length),
    peakBytes === undefined ? '-' : formatBytes(peakBytes),
    frames.at(-1)?.plan ?? '-',
    failure ?? 'serves',
  ];
}

async function runAll(flags: Flags & Place): Promise<readonly LimitRow[]> {
  await YOLO_START.save(join(flags.folder, 'stored'));
  const ours = await findSmallest(flags.limits, flags);
  const rival = await prepareRival(findNetwork('yolov2-0-15-608'), join(flags.folder, 'opencv'));
  return rival === undefined ? ours : [...ours, ...(await runRival(rival, flags))];
}

async function main(): Promise<void> {
  const flags = readFlags();
  const rows = await withContext('limits', ({ signal }) =>
    withBenchFolder((folder) => runAll({ ...flags, folder, signal })),
  );
  printLine();
  printLine(formatTable(HEADER, rows.map(cellsOf)));
  const smallest = smallestServing(rows.filter(({ who }) => who === 'mafat'));
  printLine(`smallest limit that serves: ${Number.isFinite(smallest) ? formatBytes(smallest) : 'none'}`);
  await writeResults(flags, { figures: rows, panels: [] });
  const wanted = rows.filter(({ who, limitBytes }) => who === 'mafat' && flags.limits.includes(limitBytes));
  if (wanted.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
}

await runBench(main);
