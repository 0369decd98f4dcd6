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
import { parseCount } from '../agent/cli/parse-options.js';
import { formatBytes, formatTable, printLine } from '../agent/cli/print.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, listOf, optionOf } from './bench-options.js';
import { drawImage } from './draw-image.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';
import { runMafat, ServiceAgent } from './service-agent.js';
import { ServiceClient } from './service-client.js';
import type { ServiceNetwork } from './service-networks.js';
import { findServiceNetworks } from './service-networks.js';

const FPS = 5;
const POLL_MS = 20;

/** Time after a change of plan in which the former promise holds, if it is larger. */
const CHANGE_MS = 1000;

/** Time without an inference after which a budget is given up. */
const STALL_MS = 30_000;

const QUICK = { inferences: 40, budgets: 3 } as const;

interface Flags extends OutputFlags {
  readonly networks?: readonly string[];
  readonly inferences: number;
  readonly budgets: number;
  readonly quick?: boolean;
}

export interface BudgetRow {
  readonly network: string;
  readonly budgetBytes: number;
  readonly plan: string;
  /** Working memory that the plan in force promised when memory was furthest over it. */
  readonly promisedBytes: number;
  /** Private memory above idle then, and at most. */
  readonly measuredBytes: number;
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

/** Follows the plan in force, and how far memory is over its promise. */
class PromiseWatch {
  #current = { plan: 'none', promisedBytes: 0, sinceMs: 0 };
  #formerBytes = 0;
  #worst = { plan: 'none', promisedBytes: 0, measuredBytes: Number.NEGATIVE_INFINITY };
  mostBytes = 0;

  sample(client: ServiceClient, agent: ServiceAgent): void {
    const plan = client.info?.models[0]?.plan;
    const idleBytes = client.health?.executor.idleBytes ?? 0;
    if (plan === undefined || plan === null || idleBytes === 0) return;
    this.#follow(plan.notation, plan.predicted.workingBytes);
    const { plan: notation, promisedBytes: newBytes, sinceMs } = this.#current;
    const isNew = performance.now() - sinceMs < CHANGE_MS;
    const promisedBytes = isNew ? Math.max(newBytes, this.#formerBytes) : newBytes;
    const measuredBytes = agent.memory().executorBytes - idleBytes;
    this.mostBytes = Math.max(this.mostBytes, measuredBytes);
    if (measuredBytes - promisedBytes > this.#worst.measuredBytes - this.#worst.promisedBytes)
      this.#worst = { plan: notation, promisedBytes, measuredBytes };
  }

  get worst() {
    return this.#worst;
  }

  #follow(plan: string, promisedBytes: number): void {
    if (plan === this.#current.plan && promisedBytes === this.#current.promisedBytes) return;
    this.#formerBytes = this.#current.promisedBytes;
    this.#current = { plan, promisedBytes, sinceMs: performance.now() };
  }
}

interface Place {
  readonly folder: string;
  readonly image: Uint8Array;
}

async function serveWithin(
  budgetBytes: number,
  { name }: ServiceNetwork,
  { folder, image, inferences }: Place & { readonly inferences: number },
): Promise<BudgetRow> {
  const agent = await ServiceAgent.start({
    folder,
    models: [name],
    budgetBytes,
    cameras: [{ model: name, fps: FPS }],
  });
  await agent.listening();
  let frames = 0;
  const client = new ServiceClient(agent.server, () => {
    frames += 1;
  });
  const watch = new PromiseWatch();
  const ran = () => frames + client.counts.ran;
  try {
    await client.connected(() => agent.end !== undefined);
    const asking = client.keepAsking(name, image);
    let last = { ran: 0, atMs: performance.now() };
    while (ran() < inferences && performance.now() - last.atMs < STALL_MS && agent.end === undefined) {
      watch.sample(client, agent);
      if (ran() > last.ran) last = { ran: ran(), atMs: performance.now() };
      await sleep(POLL_MS);
    }
    await client.stop();
    await asking;
  } finally {
    await client.stop();
    await agent.stop();
  }
  const row = {
    network: name,
    budgetBytes,
    ...watch.worst,
    mostBytes: watch.mostBytes,
    inferences: ran(),
    refused: client.counts.refused,
  };
  const exception = exceptionOf(row, inferences);
  return exception === undefined ? row : { ...row, exception };
}

/** Reason why a row breaks the promise of the service. */
function exceptionOf(row: Omit<BudgetRow, 'exception'>, expected: number): string | undefined {
  const { budgetBytes, promisedBytes, measuredBytes, mostBytes, inferences } = row;
  if (inferences < expected) return `only ${inferences} inferences`;
  if (mostBytes > budgetBytes) return 'over the budget';
  const isOver = measuredBytes - promisedBytes > Math.max(0.05 * promisedBytes, 2 * 2 ** 20);
  return isOver ? 'over the promise' : undefined;
}

function printRow(row: BudgetRow): void {
  printLine(`${row.network} at ${formatBytes(row.budgetBytes)}: ${row.exception ?? 'kept'}`);
}

function printRows(rows: readonly BudgetRow[]): void {
  const header = [
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
  printLine(
    formatTable(
      header,
      rows.map((row) => [
        row.network,
        formatBytes(row.budgetBytes),
        formatBytes(row.promisedBytes),
        formatBytes(row.measuredBytes),
        formatBytes(row.measuredBytes - row.promisedBytes),
        formatBytes(row.mostBytes),
        String(row.inferences),
        String(row.refused),
        row.plan,
        row.exception ?? '',
      ]),
    ),
  );
  const count = rows.filter(({ exception }) => exception !== undefined).length;
  printLine(`exceptions: ${count} of ${rows.length}`);
}

async function main(): Promise<void> {
  const flags = readFlags();
  const networks = findServiceNetworks(flags.networks);
  const rows: BudgetRow[] = [];
  await withBenchFolder(async (folder) => {
    const image = readFileSync(await drawImage(join(folder, 'shapes.jpg')));
    for (const network of networks) {
      const state = join(folder, network.name);
      await network.save(state);
      for (const budgetBytes of await findBudgets(state, network.name, flags.budgets)) {
        const row = await serveWithin(budgetBytes, network, {
          folder: state,
          image,
          inferences: flags.inferences,
        });
        printRow(row);
        rows.push(row);
      }
      await rm(state, { recursive: true });
    }
  });
  printLine();
  printRows(rows);
  await writeResults(flags, { figures: rows, panels: [] });
  if (rows.some(({ exception }) => exception !== undefined)) process.exitCode = 1;
}

await runBench(main);
