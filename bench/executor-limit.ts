/**
 * Measures how much room code needs beside a plan in the executor's group: latency under ever lower limits.
 *
 *     node dist/bench/executor-limit.js [--network yolov2-0-15-608] [--plan NOTATION] [--threads 2] [--runs 10]
 *
 * It needs a memory cgroup that this process may make groups in: root with v1, a delegated group with v2. A group is
 * charged for file pages that it touches first, so ONNX Runtime and the weights are dropped from the page cache before.
 * Pages that another process maps stay, those of Node.js among them: `file pages` shows what is charged.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { ExecutorGroup } from '../agent/board/executor-group.js';
import type { CommandContext } from '../agent/cli/context.js';
import { withContext } from '../agent/cli/context.js';
import { parseCount, parseNotation } from '../agent/cli/parse-options.js';
import { formatBytes, formatMs, formatTable, printLine } from '../agent/cli/print.js';
import { ModelOptimizer } from '../agent/engine/blocked/model-optimizer.js';
import type { ExecutorClient } from '../agent/engine/executor-client.js';
import { ExecutorError, startExecutor } from '../agent/engine/executor-client.js';
import { loadPlan } from '../agent/engine/load-plan.js';
import type { Network } from '../agent/planning/open-model.js';
import { median } from '../shared/predict/index.js';
import { buildPlan, parsePlan } from '../shared/search/index.js';
import { benchCommand, optionOf, threadsOption } from './bench-options.js';
import { evictFiles } from './cgroup-faults.js';
import type { BenchNetwork } from './networks.js';
import { findNetwork } from './networks.js';
import { prepareNetwork } from './prepare-network.js';
import { runBench, withBenchFolder } from './run-bench.js';

/** Margins above idle memory, measured working memory and mapped weights, in MiB. */
const MARGINS = [48, 32, 24, 16, 12, 8, 6, 4, 2] as const;

/** A run that takes longer reads its code again and again; lower limits only take longer. */
const LONGEST_MS = 20_000;

interface Flags {
  readonly network: BenchNetwork;
  readonly plan: string;
  readonly threads: number;
  readonly runs: number;
}

function readFlags(): Flags {
  return benchCommand('executor-limit', "Measures a plan's latency under ever lower limits of its group.")
    .addOption(
      optionOf('--network <name>', 'network to run', { parse: findNetwork, fallback: 'yolov2-0-15-608' }),
    )
    .addOption(
      optionOf('--plan <notation>', 'plan to run', {
        parse: parseNotation,
        fallback: 'stream4 | 12 | whole',
      }),
    )
    .addOption(threadsOption('2'))
    .addOption(optionOf('--runs <number>', 'runs at each limit', { parse: parseCount, fallback: '10' }))
    .parse()
    .opts<Flags>();
}

async function measure(network: Network, group: ExecutorGroup, flags: Flags): Promise<void> {
  const executor = await startExecutor(undefined, { group });
  try {
    const { allocator, idleBytes } = executor;
    const settings = { level: 'all', threads: flags.threads, allocator } as const;
    const plan = buildPlan(network.graph, parsePlan(flags.plan), settings);
    const meter = executor.createMeter();
    meter.start();
    await loadPlan(executor, { model: network, plan }, { optimizer: new ModelOptimizer({ startExecutor }) });
    const free = await runTimes(executor, { network, runs: flags.runs });
    const workingBytes = meter.stop();
    const { weightsBytes } = plan.predicted;
    printLine(`without a limit: ${formatMs(free)}, working ${formatBytes(workingBytes)}`);
    printLine(`mapped weights ${formatBytes(weightsBytes)}, file pages ${formatBytes(group.fileBytes())}`);
    const rows: (readonly string[])[] = [];
    for (const margin of MARGINS) {
      group.setLimit(Math.ceil(idleBytes + workingBytes + weightsBytes + margin * 2 ** 20));
      const outcome = await runTimes(executor, { network, runs: flags.runs }).then(formatMs, describeLoss);
      rows.push([`${margin}M`, outcome, formatBytes(group.fileBytes())]);
      if (executor.endedBy !== undefined) break;
    }
    printLine(formatTable(['margin', 'median', 'file pages'], rows));
  } finally {
    await executor.stop();
  }
}

/** Median latency in milliseconds. */
async function runTimes(
  executor: ExecutorClient,
  { network, runs }: { readonly network: Network; readonly runs: number },
): Promise<number> {
  const { width, height } = network.input;
  const bytes = Uint8Array.from({ length: 3 * width * height }, (_, at) => (at * 7) % 256);
  const image = { kind: 'pixels', name: 'pattern', width, height, bytes } as const;
  const latencyMs: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const request = { kind: 'run', image, outputs: 'shapes' } as const;
    latencyMs.push((await executor.ask(request, { deadlineMs: LONGEST_MS })).latencyMs);
  }
  return median(latencyMs);
}

function describeLoss(error: unknown): string {
  if (error instanceof ExecutorError) return error.reason;
  throw error;
}

async function compare(context: CommandContext, folder: string, flags: Flags): Promise<void> {
  const { network } = await prepareNetwork(flags.network, { context, folder });
  const group = ExecutorGroup.create();
  try {
    await evictFiles(folder);
    await evictFiles(dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json')));
    if (group.contract.kind === 'none')
      throw new RangeError(`Cannot limit the executor: ${group.contract.reason}`);
    await measure(network, group, flags);
  } finally {
    group.remove();
  }
}

await runBench(async () => {
  const flags = readFlags();
  await withContext('executor-limit', (context) =>
    withBenchFolder((folder) => compare(context, folder, flags)),
  );
});
