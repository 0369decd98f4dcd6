/**
 * Latency and working memory of each network, run by stock ONNX Runtime untiled, by OpenCV where Debian's
 * python3-opencv is installed, by MAFAT's search and by our plans. What is compared, and how fairly:
 *
 * - Contestants take turns, round after round, each turn in a process of its own, so that whatever else the
 *   machine does befalls them all alike. A turn loads, warms up once, and runs `--runs` times; one that a hypervisor
 *   took more than 2 % of the processors from is taken again.
 * - Working memory is the peak of private memory above idle, over loading and all runs; idle is the process
 *   after its runtime's start. Stock ONNX Runtime runs in a plain Node process, not in our executor.
 * - Latency of stock ONNX Runtime is session.run on a ready Float32Array; ours is from an image's bytes to the
 *   outputs, so it includes the conversion to floats.
 * - MAFAT's search and ours get `--budgets` of working memory: weights are evictable, as for stock ONNX Runtime.
 * - Ratios are to the stock setting with the least median latency.
 * - `difference` is the largest difference to stock ONNX Runtime at the same level and threads, over the
 *   largest output; `!` where it is above 1e-5. (Against our own untiled run, `mafat run --verify` compares.)
 *
 *     node dist/bench/latency-memory.js [--networks yolov2-0-15-608,resnet18-224] [--threads 1,2]
 *         [--rounds 5] [--runs 2] [--budgets 64M,32M] [--plan NOTATION]... [--json FILE] [--svg FILE]
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { drawChart } from '../agent/cli/chart.js';
import type { CommandContext } from '../agent/cli/context.js';
import { withContext } from '../agent/cli/context.js';
import { collect, parseCount, parseMemory, parseNotation, parseThreads } from '../agent/cli/parse-options.js';
import { printLine } from '../agent/cli/print.js';
import { compete } from './latency-memory-compete.js';
import type { Result } from './latency-memory-report.js';
import { panelOf, printResult } from './latency-memory-report.js';
import type { BenchNetwork } from './networks.js';
import { findNetwork, NETWORKS } from './networks.js';
import { choosePlans } from './plan-contestants.js';
import { prepareNetwork } from './prepare-network.js';
import { runBench } from './run-bench.js';

interface Flags {
  readonly networks: readonly BenchNetwork[];
  readonly threads: readonly number[];
  readonly rounds: number;
  readonly runs: number;
  readonly budgets: readonly number[];
  readonly plan?: readonly string[];
  readonly json?: string;
  readonly svg?: string;
}

const listOf =
  <T>(parse: (text: string) => T) =>
  (text: string): readonly T[] =>
    text.split(',').map((part) => parse(part.trim()));

function readFlags(): Flags {
  return new Command('latency-memory')
    .option('--networks <names>', 'by commas', listOf(findNetwork), NETWORKS)
    .option('--threads <numbers>', 'by commas', listOf(parseThreads), [1, 2])
    .option('--rounds <number>', 'turns of each contestant', parseCount, 5)
    .option('--runs <number>', 'timed runs a turn', parseCount, 2)
    .option(
      '--budgets <sizes>',
      'of the searches, by commas',
      listOf(parseMemory),
      [64, 32, 16].map((mega) => mega * 2 ** 20),
    )
    .option('--plan <notation>', 'in place of the plans by hand', (text, all?: readonly string[]) =>
      collect(parseNotation(text), all),
    )
    .option('--json <file>', 'write all figures')
    .option('--svg <file>', 'write a plot')
    .parse()
    .opts<Flags>();
}

async function benchNetwork(
  bench: BenchNetwork,
  flags: Flags,
  { context, folder }: { readonly context: CommandContext; readonly folder: string },
): Promise<readonly Result[]> {
  const prepared = await prepareNetwork(bench, { context, folder });
  const results: Result[] = [];
  for (const threads of flags.threads) {
    const { budgets, plan: notations = bench.plans } = flags;
    const plans = choosePlans(prepared.network, { threads, budgets, notations, onSkip: printLine });
    const contestants = [...prepared.stock(threads), ...plans];
    const rows = await compete(contestants, {
      ...flags,
      context,
      title: `${bench.name}, ${threads} threads`,
    });
    const result = { network: bench.name, threads, rows };
    printResult(result);
    results.push(result);
  }
  await prepared.remove();
  return results;
}

async function main(): Promise<void> {
  const flags = readFlags();
  const folder = await mkdtemp(join(tmpdir(), 'mafat-bench-'));
  try {
    const results = await withContext('latency and memory', async (context) => {
      const all: Result[] = [];
      for (const bench of flags.networks)
        all.push(...(await benchNetwork(bench, flags, { context, folder })));
      return all;
    });
    if (flags.json !== undefined) await writeFile(flags.json, JSON.stringify(results, null, 2));
    if (flags.svg !== undefined) await writeFile(flags.svg, drawChart(results.map(panelOf)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await runBench(main);
