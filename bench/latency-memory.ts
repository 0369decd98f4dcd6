/**
 * Measures latency and working memory of networks. The contestants are stock ONNX Runtime untiled, OpenCV if
 * Debian's python3-opencv is installed, MAFAT's search and this project's plans.
 *
 * - Contestants take turns, round after round, so that other load on the machine meets all of them alike. Each turn
 *   has a new process, which loads the network, warms up once and runs it `--runs` times. A turn is repeated if a
 *   hypervisor took too much of the processors.
 * - Working memory is the peak of private memory above idle during loading and all runs. A process is idle after its
 *   runtime has started. Stock ONNX Runtime runs in a plain Node process, not in mafat's executor.
 * - Latency of stock ONNX Runtime is that of session.run on a ready Float32Array. Latency of a plan is from an image's
 *   bytes to the outputs, so it includes the conversion to floats.
 * - The searches get `--budgets` of working memory. Weights are evictable, as they are for stock ONNX Runtime.
 * - Ratios are to the stock setting with the least median latency.
 * - `difference` is the largest difference from stock ONNX Runtime at the same level and threads, divided by the
 *   largest output. `!` marks a difference that breaks the bound. `mafat run --verify` compares with mafat's own
 *   untiled run.
 *
 *     node dist/bench/latency-memory.js [--networks yolov2-0-15-608,resnet18-224] [--threads 1,2]
 *         [--rounds 5] [--runs 2] [--budgets 64M,32M] [--plan NOTATION]... [--json FILE] [--svg FILE]
 */
import type { CommandContext } from '../agent/cli/context.js';
import { withContext } from '../agent/cli/context.js';
import { parseCount, parseMemory, parseThreads } from '../agent/cli/parse-options.js';
import { printLine } from '../agent/cli/print.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, listOf, optionOf, planOption, svgOption } from './bench-options.js';
import { compete } from './latency-memory-compete.js';
import type { Result } from './latency-memory-report.js';
import { panelOf, printResult } from './latency-memory-report.js';
import type { BenchNetwork } from './networks.js';
import { findNetwork, NETWORKS } from './networks.js';
import { choosePlans } from './plan-contestants.js';
import { prepareNetwork } from './prepare-network.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';

interface Flags extends OutputFlags {
  readonly networks: readonly BenchNetwork[];
  readonly threads: readonly number[];
  readonly rounds: number;
  readonly runs: number;
  readonly budgets: readonly number[];
  readonly plan?: readonly string[];
}

const NETWORK_NAMES = NETWORKS.map(({ name }) => name).join(',');

function readFlags(): Flags {
  return benchCommand('latency-memory', 'Measures latency and working memory of networks.')
    .addOption(
      optionOf('--networks <names>', 'networks to run, separated by commas', {
        parse: listOf(findNetwork),
        fallback: NETWORK_NAMES,
      }),
    )
    .addOption(
      optionOf('--threads <numbers>', 'threads of one operator, separated by commas', {
        parse: listOf(parseThreads),
        fallback: '1,2',
      }),
    )
    .addOption(
      optionOf('--rounds <number>', 'turns of each contestant', { parse: parseCount, fallback: '5' }),
    )
    .addOption(optionOf('--runs <number>', 'timed runs in a turn', { parse: parseCount, fallback: '2' }))
    .addOption(
      optionOf('--budgets <sizes>', 'budgets of the searches, separated by commas', {
        parse: listOf(parseMemory),
        fallback: '64M,32M,16M',
      }),
    )
    .addOption(planOption())
    .addOption(jsonOption())
    .addOption(svgOption())
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
  await withBenchFolder(async (folder) => {
    const results = await withContext('latency and memory', async (context) => {
      const all: Result[] = [];
      for (const bench of flags.networks)
        all.push(...(await benchNetwork(bench, flags, { context, folder })));
      return all;
    });
    await writeResults(flags, { figures: results, panels: results.map(panelOf) });
  });
}

await runBench(main);
