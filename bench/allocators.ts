/**
 * Compares allocators of the executor over many runs of one plan: memory, latency and what idle executors keep.
 *
 *     node dist/bench/allocators.js [--network yolov2-0-15-608] [--plan NOTATION] [--threads 2] [--runs 30] [--rounds 2]
 *         [--conf MALLOC_CONF]...
 *
 * glibc, the executor's own jemalloc and jemalloc by each `--conf` take turns. Each turn has a new process. Idle memory is
 * read when unused pages have gone, since a jemalloc that hasn't given back its start's pages yet would make working
 * memory seem 10 MB smaller. Working memory is the peak above idle from loading to the last run; `rest` is read two
 * seconds after it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Option } from 'commander';
import { measureIdle, PeakMeter, readProcessMemory } from '../agent/board/process-memory.js';
import type { CommandContext } from '../agent/cli/context.js';
import { withContext } from '../agent/cli/context.js';
import { collect, parseCount, parseNotation } from '../agent/cli/parse-options.js';
import { formatBytes, formatMs, formatTable, printLine } from '../agent/cli/print.js';
import type { FoundAllocator } from '../agent/engine/allocator.js';
import { findAllocator } from '../agent/engine/allocator.js';
import { ModelOptimizer } from '../agent/engine/blocked/model-optimizer.js';
import { startExecutor } from '../agent/engine/executor-client.js';
import { loadPlan } from '../agent/engine/load-plan.js';
import type { Network } from '../agent/planning/open-model.js';
import { median } from '../shared/predict/index.js';
import { buildPlan, parsePlan } from '../shared/search/index.js';
import { benchCommand, optionOf, threadsOption } from './bench-options.js';
import type { BenchNetwork } from './networks.js';
import { findNetwork } from './networks.js';
import { prepareNetwork } from './prepare-network.js';
import { runBench, withBenchFolder } from './run-bench.js';

const REST_MS = 2000;

interface Flags {
  readonly network: BenchNetwork;
  readonly plan: string;
  readonly threads: number;
  readonly runs: number;
  readonly rounds: number;
  readonly conf?: readonly string[];
}

interface Turn {
  readonly idleBytes: number;
  readonly workingBytes: number;
  readonly restBytes: number;
  readonly latencyMs: readonly number[];
}

function readFlags(): Flags {
  return benchCommand('allocators', 'Compares allocators of the executor over many runs of one plan.')
    .addOption(
      optionOf('--network <name>', 'network to run, as named in bench/networks.ts', {
        parse: findNetwork,
        fallback: 'yolov2-0-15-608',
      }),
    )
    .addOption(
      optionOf('--plan <notation>', 'plan to run', {
        parse: parseNotation,
        fallback: 'stream4 | 12 | whole',
      }),
    )
    .addOption(threadsOption('2'))
    .addOption(optionOf('--runs <number>', 'runs in a turn', { parse: parseCount, fallback: '30' }))
    .addOption(optionOf('--rounds <number>', 'turns of each allocator', { parse: parseCount, fallback: '2' }))
    .addOption(
      new Option(
        '--conf <text>',
        'MALLOC_CONF of one more jemalloc; give the option again for more',
      ).argParser((text: string, all?: readonly string[]) => collect(text, all)),
    )
    .parse()
    .opts<Flags>();
}

/** Allocators by the name that the table has for them. */
function listAllocators({ conf = [] }: Flags): ReadonlyMap<string, FoundAllocator> {
  const glibc = findAllocator({ wanted: 'glibc' });
  const best = findAllocator();
  if (best.kind === 'glibc') return new Map([['glibc', glibc]]);
  const withConf = (text: string): FoundAllocator => ({
    ...best,
    environment: { ...best.environment, MALLOC_CONF: text },
  });
  return new Map([
    ['glibc', glibc],
    ['jemalloc', best],
    ...conf.map((text): [string, FoundAllocator] => [text, withConf(text)]),
  ]);
}

async function takeTurn(network: Network, found: FoundAllocator, flags: Flags): Promise<Turn> {
  const { threads, runs } = flags;
  const plan = buildPlan(network.graph, parsePlan(flags.plan), {
    level: 'all',
    threads,
    allocator: found.kind,
  });
  const executor = await startExecutor(found);
  try {
    const idleBytes = await measureIdle(executor.pid);
    const meter = new PeakMeter(executor.pid, { idleBytes });
    meter.start();
    await loadPlan(executor, { model: network, plan }, { optimizer: new ModelOptimizer({ startExecutor }) });
    const { width, height } = network.input;
    const bytes = Uint8Array.from({ length: 3 * width * height }, (_, at) => (at * 7) % 256);
    const image = { kind: 'pixels', name: 'pattern', width, height, bytes } as const;
    const latencyMs: number[] = [];
    for (let run = 0; run < runs; run += 1)
      latencyMs.push((await executor.ask({ kind: 'run', image, outputs: 'values' })).latencyMs);
    const workingBytes = meter.stop();
    await sleep(REST_MS);
    return { idleBytes, workingBytes, restBytes: readProcessMemory(executor.pid).rssAnonBytes, latencyMs };
  } finally {
    await executor.stop();
  }
}

function describeTurns(name: string, turns: readonly Turn[]): readonly string[] {
  const of = (pick: (turn: Turn) => number) => median(turns.map(pick));
  const latencyMs = turns.flatMap((turn) => turn.latencyMs);
  return [
    name,
    formatBytes(of(({ idleBytes }) => idleBytes)),
    formatBytes(of(({ workingBytes }) => workingBytes)),
    formatBytes(of(({ restBytes }) => restBytes)),
    formatMs(median(latencyMs)),
    formatMs(Math.min(...latencyMs)),
  ];
}

async function compare(context: CommandContext, folder: string, flags: Flags): Promise<void> {
  const { network } = await prepareNetwork(flags.network, { context, folder });
  const allocators = listAllocators(flags);
  const turns = new Map<string, Turn[]>([...allocators.keys()].map((name) => [name, []]));
  for (let round = 0; round < flags.rounds; round += 1) {
    for (const [name, found] of allocators) {
      context.progress.show(`round ${round + 1} of ${flags.rounds}: ${name}`);
      turns.get(name)?.push(await takeTurn(network, found, flags));
    }
  }
  context.progress.stop();
  printLine(`${flags.network.name}, ${flags.plan}, all, ${flags.threads} threads`);
  const header = ['allocator', 'idle', 'working', 'rest', 'median', 'min'];
  printLine(
    formatTable(
      header,
      [...turns].map(([name, list]) => describeTurns(name, list)),
    ),
  );
}

await runBench(async () => {
  const flags = readFlags();
  await withContext('allocators', (context) => withBenchFolder((folder) => compare(context, folder, flags)));
});
