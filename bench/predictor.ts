/**
 * Compares predicted with measured working memory and latency of plans. Each plan runs at plain and blocked levels
 * and with each allocator.
 *
 *     node dist/bench/predictor.js [--networks NAMES] [--threads 1] [--allocators jemalloc,glibc] [--rounds 3]
 *         [--json FILE]
 *
 * Each turn of a plan has a new executor, and the figures are medians over the rounds. Runs take a camera's frame and a
 * JPEG in turn, and send their outputs, as in service. The JSON also holds each plan's
 * amounts of work, to which the built-in profile was fitted.
 */

import type { CommandContext } from '../agent/cli/context.js';
import { withContext } from '../agent/cli/context.js';
import { parseCount } from '../agent/cli/parse-options.js';
import { formatBytes, formatMs, formatTable, printLine } from '../agent/cli/print.js';
import type { ImageSource } from '../agent/engine/wire/protocol.js';
import { deviceProfile } from '../agent/planning/device-profiles.js';
import type { Network } from '../agent/planning/open-model.js';
import { copying } from '../agent/planning/plan-network.js';
import { valueFor } from '../shared/graph/index.js';
import type { Allocator, DeviceProfile, WorkAmounts } from '../shared/predict/index.js';
import { ALLOCATORS, BUILT_IN_PROFILE, median } from '../shared/predict/index.js';
import type { Plan } from '../shared/search/index.js';
import { buildPlan, countPlanWork, parsePlan } from '../shared/search/index.js';
import type { OutputFlags } from './bench-options.js';
import {
  benchCommand,
  jsonOption,
  listOf,
  optionOf,
  parseAllocator,
  threadsOption,
} from './bench-options.js';
import { takeTurn } from './latency-memory-turn.js';
import type { BenchNetwork } from './networks.js';
import { findNetwork } from './networks.js';
import { planContestant } from './plan-contestants.js';
import { prepareNetwork } from './prepare-network.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import { serviceImages } from './service-images.js';

/** Notations of the plans of each network. */
const SWEEP: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries<readonly string[]>({
    'yolov2-0-15-608': [
      'whole',
      '2x2',
      '3x3 | 8 | 2x2',
      '4x4 | 4 | 3x3',
      'stream2',
      'stream8',
      'stream1 > 8 > stream1',
      'stream4 > 8 > stream4',
      'stream8 > 4 > stream4 > 8 > stream4 > 12 > stream4',
      'stream16 > 4 > stream8 > 8 > stream8 | 12 | whole',
      'stream4 | 12 | whole | 14 | whole',
    ],
    'yolov2-416': [
      'whole',
      '2x2 | 17 | whole',
      'stream4 | 17 | whole',
      'stream2 > 8 > stream2 | 17 | whole',
      'stream8 | 8 | stream4 | 12 | whole | 18 | whole',
      'stream4 > 8 > stream4 > 12 > stream4 | 17 | whole',
    ],
    'yolov2-tiny-416': [
      'whole',
      '2x2 | 10 | whole',
      '3x3 | 6 | 2x2',
      'stream1 | 10 | whole',
      'stream4 | 10 | whole',
      'stream4 > 4 > stream2 | 10 | whole',
    ],
    'yolo-fastest-320': [
      'whole',
      'stream4 | 20 | whole',
      'stream4 > 9 > stream4 | 50 | whole',
      'stream2 > 12 > stream2 | 40 | whole',
      'stream8 | 30 | whole | 90 | whole',
      '2x2 | 20 | whole',
    ],
    'mobilenetv2-1.0-224': [
      'whole',
      'stream4 | 11 | whole',
      'stream2 > 11 > stream2 | 22 | whole',
      'stream4 > 5 > stream4 > 11 > stream4 | 22 | whole',
      '2x2 | 11 | whole',
      'stream8 | 5 | stream8 | 22 | whole',
    ],
    'resnet18-224': [
      'whole',
      'stream4 | 8 | whole',
      'stream4 > 8 > stream4 | 15 | whole',
      'stream2 > 2 > stream2 > 8 > stream2 | 15 | whole',
      '2x2 | 8 | whole',
      'stream8 | 15 | whole',
    ],
  }),
);

/** Runs of a turn: heaps have nearly reached their size after about twenty. */
const RUNS = 24;

const SWEPT_LEVELS = ['extended', 'all'] as const;

interface Flags extends OutputFlags {
  readonly networks: readonly BenchNetwork[];
  readonly threads: number;
  readonly allocators: readonly Allocator[];
  readonly rounds: number;
}

interface Row {
  readonly network: string;
  readonly plan: string;
  readonly settings: Plan['settings'];
  readonly predicted: Plan['predicted'];
  readonly work: WorkAmounts;
  readonly measuredBytes: number;
  readonly measuredMs: number;
}

function readFlags(): Flags {
  return benchCommand('predictor', 'Compares predicted with measured working memory and latency of plans.')
    .addOption(
      optionOf('--networks <names>', 'networks to run, separated by commas', {
        parse: listOf(findSwept),
        fallback: [...SWEEP.keys()].join(','),
      }),
    )
    .addOption(threadsOption('1'))
    .addOption(
      optionOf('--allocators <names>', 'allocators of the executor, separated by commas', {
        parse: listOf(parseAllocator),
        fallback: ALLOCATORS.join(','),
      }),
    )
    .addOption(optionOf('--rounds <number>', 'turns of each plan', { parse: parseCount, fallback: '3' }))
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
}

/** Network that has plans to sweep. @throws {RangeError} listing all such networks, if this one has no plans. */
function findSwept(name: string): BenchNetwork {
  if (SWEEP.has(name)) return findNetwork(name);
  const known = [...SWEEP.keys()].join(', ');
  throw new RangeError(`Cannot run network "${name}": it has no plans, expected one of ${known}`);
}

function plansOf(network: Network, { threads, allocators }: Flags, profile: DeviceProfile): readonly Plan[] {
  const ways = SWEPT_LEVELS.flatMap((level) => allocators.map((allocator) => ({ level, allocator })));
  const known = { threads, profile, ...copying(network.mapsWeights) };
  return valueFor(SWEEP, network.name).flatMap((notation) =>
    ways.map((way) => buildPlan(network.graph, parsePlan(notation), { ...known, ...way })),
  );
}

interface Measuring {
  readonly plan: Plan;
  readonly images: readonly ImageSource[];
  readonly rounds: number;
  readonly context: CommandContext;
}

async function measure(network: Network, { plan, images, rounds, context }: Measuring): Promise<Row> {
  const contestant = planContestant(network, { party: 'ours', plan, images });
  const turns = [];
  for (let round = 0; round < rounds; round += 1) {
    context.signal.throwIfAborted();
    turns.push(await takeTurn(contestant, { runs: RUNS, check: false }));
  }
  return {
    network: network.name,
    plan: plan.notation,
    settings: plan.settings,
    predicted: plan.predicted,
    work: countPlanWork(network.graph, plan),
    measuredBytes: median(turns.map(({ workingBytes }) => workingBytes)),
    measuredMs: median(turns.flatMap(({ latencyMs }) => latencyMs)),
  };
}

const percent = (ratio: number) => `${(ratio * 100).toFixed(0)} %`;

function printRows(rows: readonly Row[]): void {
  const cells = rows.map(({ network, plan, settings, predicted, measuredBytes, measuredMs }) => [
    network,
    plan,
    `${settings.level}, ${settings.allocator}`,
    formatBytes(predicted.workingBytes),
    formatBytes(measuredBytes),
    formatMs(predicted.latencyMs),
    formatMs(measuredMs),
    percent(predicted.latencyMs / measuredMs - 1),
  ]);
  const header = ['network', 'plan', 'settings', 'predicted', 'measured', 'predicted', 'measured', 'error'];
  printLine(formatTable(header, cells));
  printLine();
  printLine(summarize(rows));
}

/** Errors of all rows. An error of memory is a multiple of the allowed error. */
function summarize(rows: readonly Row[]): string {
  const gap = (part: number) => (row: Row) => {
    const allowed = Math.max(part * row.measuredBytes, 2 * 2 ** 20);
    return (row.predicted.workingBytes - row.measuredBytes) / allowed;
  };
  const errors = rows.map((row) => Math.abs(gap(0.05)(row)));
  const short = rows.filter((row) => gap(0.1)(row) < -1);
  const latency = rows.map(({ predicted, measuredMs }) => Math.abs(predicted.latencyMs / measuredMs - 1));
  return [
    `${rows.length} plans`,
    `memory: the median error is ${median(errors).toFixed(2)} of the allowed error (the larger of 5 % and 2 MB)`,
    `memory: ${short.length} plans need more than predicted by over 10 % and 2 MB`,
    `latency: the median error is ${percent(median(latency))}`,
  ].join('\n');
}

async function main(): Promise<void> {
  const flags = readFlags();
  const profile = deviceProfile() ?? BUILT_IN_PROFILE;
  printLine(`costs: ${profile.source}`);
  await withBenchFolder(async (folder) => {
    const images = await serviceImages(folder);
    const rows = await withContext('sweeping', async (context) => {
      const all: Row[] = [];
      for (const bench of flags.networks) {
        const prepared = await prepareNetwork(bench, { context, folder });
        for (const plan of plansOf(prepared.network, flags, profile)) {
          context.progress.show(`${bench.name}: ${plan.notation}`);
          all.push(await measure(prepared.network, { plan, images, rounds: flags.rounds, context }));
        }
        await prepared.remove();
      }
      return all;
    });
    printRows(rows);
    await writeResults(flags, { figures: rows, panels: [] });
  });
}

await runBench(main);
