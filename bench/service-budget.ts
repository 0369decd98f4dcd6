/**
 * Measures whether the agent keeps the promise of its plans: the executor's private memory above idle is never over the
 * plan's promised working memory by more than 5 % or 2 MB, and never over the budget.
 *
 *     node dist/bench/service-budget.js [--networks NAME,...] [--inferences 500] [--budgets 8] [--quick] [--json FILE]
 *
 * Each network runs at budgets from the smallest plan to the fastest one, in equal ratios. A new agent with a fixed budget
 * gets frames of a synthetic camera and JPEG requests, which are sent one after the other. /proc is read every 20 ms. The
 * exit code is 1 if there is an exception. A budget at which nothing is served is one.
 *
 * Answers that are too large for MQTT count as inferences. Right after a change of plan, the larger promise holds.
 */
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withContext } from '../agent/cli/context.js';
import { parseCount } from '../agent/cli/parse-options.js';
import { formatBytes, formatTable, printLine } from '../agent/cli/print.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, listOf, optionOf } from './bench-options.js';
import { drawImage } from './draw-image.js';
import type { PromiseSample } from './promise-watch.js';
import { PromiseWatch } from './promise-watch.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import { runMafat, ServiceAgent } from './service-agent.js';
import { ServiceClient } from './service-client.js';
import type { ServiceNetwork } from './service-networks.js';
import { findServiceNetworks } from './service-networks.js';

const FPS = 5;
const POLL_MS = 20;

/** Time without an inference after which a budget is given up. */
const STALL_MS = 30_000;

const QUICK = { inferences: 40, budgets: 3 } as const;

interface Flags extends OutputFlags {
  readonly networks?: readonly string[];
  readonly inferences: number;
  readonly budgets: number;
  readonly quick?: boolean;
}

/** The worst sample at one budget. */
interface BudgetRow extends PromiseSample {
  readonly network: string;
  readonly budgetBytes: number;
  /** Most private memory above idle. */
  readonly mostBytes: number;
  readonly inferences: number;
  readonly refused: number;
  /** Reason why the row is an exception. */
  readonly exception?: string;
}

function readFlags(): Flags {
  const flags = benchCommand(
    'service-budget',
    'Measures whether the agent keeps within its plans and its budget.',
  )
    .option(
      '--networks <names>',
      'networks of bench/service-networks.ts, separated by commas',
      listOf(String),
    )
    .addOption(
      optionOf('--inferences <number>', 'inferences at each budget', { parse: parseCount, fallback: '500' }),
    )
    .addOption(optionOf('--budgets <number>', 'budgets of a network', { parse: parseCount, fallback: '8' }))
    .option('--quick', `${QUICK.budgets} budgets and ${QUICK.inferences} inferences`)
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
  return flags.quick === true ? { ...flags, ...QUICK } : flags;
}

/** Budgets from the smallest plan's need to the fastest one's, in equal ratios. */
async function findBudgets(folder: string, name: string, count: number): Promise<readonly number[]> {
  const { front } = JSON.parse(await runMafat(folder, 'plan', name, '--front', '--json')) as {
    readonly front: readonly { readonly budgetBytes: number }[];
  };
  const needs = front.map(({ budgetBytes }) => budgetBytes);
  const [least, most] = [Math.min(...needs), Math.max(...needs)];
  return Array.from({ length: count }, (_, at) =>
    Math.ceil(least * (most / least) ** (at / Math.max(1, count - 1))),
  );
}

interface Place {
  readonly folder: string;
  readonly image: Uint8Array;
  readonly inferences: number;
  readonly signal: AbortSignal;
}

/** Serves one network at one budget, in a new agent. */
async function serveWithin(
  budgetBytes: number,
  { name }: ServiceNetwork,
  { folder, image, inferences, signal }: Place,
): Promise<BudgetRow> {
  signal.throwIfAborted();
  const cameras = [{ model: name, fps: FPS }];
  const agent = await ServiceAgent.start({ folder, models: [name], budgetBytes, cameras, signal });
  await agent.listening();
  const client = new ServiceClient(agent.server);
  await client.connected(() => agent.end !== undefined);
  const asking = client.keepAsking(name, image);
  const watch = await watchInferences(inferences, { agent, client });
  const state = agent.end ?? `memory ${client.health?.models[0]?.pressure ?? 'unknown'}`;
  await client.stop();
  await asking;
  await agent.stop();
  const row = {
    network: name,
    budgetBytes,
    ...watch.worst,
    mostBytes: watch.mostBytes,
    inferences: client.inferences,
    refused: client.refused,
  };
  const exception = row.inferences < inferences ? `too few: ${state}` : exceptionOf(row);
  return exception === undefined ? row : { ...row, exception };
}

interface Serving {
  readonly agent: ServiceAgent;
  readonly client: ServiceClient;
}

/** Watches memory until a number of inferences were run, or none comes any more. */
async function watchInferences(inferences: number, { agent, client }: Serving): Promise<PromiseWatch> {
  const watch = new PromiseWatch();
  let last = { count: 0, atMs: performance.now() };
  while (client.inferences < inferences && agent.end === undefined) {
    watch.sample(client, agent);
    if (client.inferences > last.count) last = { count: client.inferences, atMs: performance.now() };
    if (performance.now() - last.atMs > STALL_MS) break;
    await sleep(POLL_MS);
  }
  return watch;
}

/** Reason why a row breaks the promise of the service. */
function exceptionOf(row: Omit<BudgetRow, 'exception'>): string | undefined {
  const { budgetBytes, promisedBytes, measuredBytes, mostBytes } = row;
  if (mostBytes > budgetBytes) return 'over the budget';
  const isOver = measuredBytes - promisedBytes > Math.max(0.05 * promisedBytes, 2 * 2 ** 20);
  return isOver ? 'over the promise' : undefined;
}

const HEADER = [
  'network',
  'budget',
  'promised',
  'measured',
  'over by',
  'at most',
  'inferences',
  'refused',
  'plan',
  'exception',
];

function cellsOf(row: BudgetRow): readonly string[] {
  const { promisedBytes, measuredBytes } = row;
  const sizes = [row.budgetBytes, promisedBytes, measuredBytes, measuredBytes - promisedBytes, row.mostBytes];
  const counts = [row.inferences, row.refused].map(String);
  return [row.network, ...sizes.map(formatBytes), ...counts, row.plan, row.exception ?? ''];
}

function printRows(rows: readonly BudgetRow[]): void {
  printLine(formatTable(HEADER, rows.map(cellsOf)));
  const count = rows.filter(({ exception }) => exception !== undefined).length;
  printLine(`exceptions: ${count} of ${rows.length}`);
}

/** Runs a network at all its budgets, in a state folder of its own. */
async function serveNetwork(
  network: ServiceNetwork,
  { budgets, ...place }: Place & Flags,
): Promise<readonly BudgetRow[]> {
  const folder = join(place.folder, network.name);
  await network.save(folder);
  const rows: BudgetRow[] = [];
  for (const budgetBytes of await findBudgets(folder, network.name, budgets)) {
    const row = await serveWithin(budgetBytes, network, { ...place, folder });
    printLine(`${row.network} at ${formatBytes(row.budgetBytes)}: ${row.exception ?? 'kept'}`);
    rows.push(row);
  }
  await rm(folder, { recursive: true });
  return rows;
}

async function serveAll(flags: Flags, signal: AbortSignal): Promise<readonly BudgetRow[]> {
  return withBenchFolder(async (folder) => {
    const image = readFileSync(await drawImage(join(folder, 'shapes.jpg')));
    const rows: BudgetRow[] = [];
    for (const network of findServiceNetworks(flags.networks))
      rows.push(...(await serveNetwork(network, { ...flags, folder, image, signal })));
    return rows;
  });
}

async function main(): Promise<void> {
  const flags = readFlags();
  const rows = await withContext('budget', ({ signal }) => serveAll(flags, signal));
  printLine();
  printRows(rows);
  await writeResults(flags, { figures: rows, panels: [] });
  if (rows.some(({ exception }) => exception !== undefined)) process.exitCode = 1;
}

await runBench(main);
