/**
 * Compares the plans that the searches choose with the best of a sweep of plans by hand, at several budgets of working
 * memory. Weights are evictable.
 *
 * 1. Plans take turns, round after round, and each turn has a new process.
 * 2. The best plan of a budget is the fastest that was *measured* to keep it, whatever was predicted.
 * 3. The fastest of so many plans was also lucky. So the FINALISTS of each budget and the chosen plans run again for
 *    `--final` rounds, and only these runs are compared.
 *
 * All figures are medians.
 *
 *     node dist/bench/search.js [--network yolov2-0-15-608] [--threads 1] [--rounds 3] [--final 8]
 *         [--budgets 48M,27M,22M,18M] [--json FILE]
 */

import type { CommandContext } from '../agent/cli/context.js';
import { withContext } from '../agent/cli/context.js';
import { parseCount, parseMemory } from '../agent/cli/parse-options.js';
import { formatBytes, formatMs, formatTable, printLine } from '../agent/cli/print.js';
import { deviceProfile } from '../agent/planning/device-profiles.js';
import type { Network } from '../agent/planning/open-model.js';
import { planNetwork } from '../agent/planning/plan-network.js';
import { BUILT_IN_PROFILE, median } from '../shared/predict/index.js';
import type { Plan } from '../shared/search/index.js';
import { BudgetError } from '../shared/search/index.js';
import type { OutputFlags } from './bench-options.js';
import { benchCommand, jsonOption, listOf, optionOf, threadsOption } from './bench-options.js';
import { takeTurn } from './latency-memory-turn.js';
import type { BenchNetwork } from './networks.js';
import { findNetwork } from './networks.js';
import { planContestant } from './plan-contestants.js';
import { prepareNetwork } from './prepare-network.js';
import { runBench, withBenchFolder, writeResults } from './run-bench.js';

interface Flags extends OutputFlags {
  readonly network: BenchNetwork;
  readonly threads: number;
  readonly rounds: number;
  readonly final: number;
  readonly budgets: readonly number[];
}

function readFlags(): Flags {
  return benchCommand('search', 'Compares the plans that the searches choose with a sweep of plans by hand.')
    .addOption(
      optionOf('--network <name>', 'network to run, as named in bench/networks.ts', {
        parse: findNetwork,
        fallback: 'yolov2-0-15-608',
      }),
    )
    .addOption(threadsOption('1'))
    .addOption(
      optionOf('--rounds <number>', 'turns of each plan in the sweep', { parse: parseCount, fallback: '3' }),
    )
    .addOption(
      optionOf('--final <number>', 'turns of each plan in the final', { parse: parseCount, fallback: '8' }),
    )
    .addOption(
      optionOf('--budgets <sizes>', 'budgets of working memory, separated by commas', {
        parse: listOf(parseMemory),
        fallback: '48M,27M,22M,18M',
      }),
    )
    .addOption(jsonOption())
    .parse()
    .opts<Flags>();
}

/** Plans for YOLOv2's first 16 layers: streams that are whole, cut or linked at the pools, and some tiles. */
function sweepNotations(): readonly string[] {
  const rows = [1, 2, 4, 8];
  return [
    'whole',
    ...[...rows, 16].map((r) => `stream${r}`),
    ...rows.flatMap((r) => [
      `stream${r} | 12 | whole`,
      `stream${2 * r} > 8 > stream${r}`,
      `stream${r} > 8 > stream${r}`,
    ]),
    ...rows.map((r) => `stream${2 * r} > 8 > stream${r} | 12 | whole`),
    ...rows.map((r) => `stream${2 * r} > 4 > stream${r} > 8 > stream${r} > 12 > stream${r}`),
    ...rows.map((r) => `stream${2 * r} | 8 | stream${r} | 12 | whole`),
    '2x2',
    '3x3 | 8 | 2x2',
    '5x5 | 12 | 2x2',
    '1x2:stream4',
  ];
}

interface Entry {
  readonly plan: Plan;
  /** Budgets at which this project's search chose the plan. */
  readonly ours: readonly number[];
  /** Budgets at which MAFAT's search chose the plan. */
  readonly mafat: readonly number[];
  /** Latencies in the sweep. */
  readonly sweepMs: number[];
  /** Latencies in the final. */
  readonly finalMs: number[];
  readonly workingBytes: number[];
}

type Stage = 'sweepMs' | 'finalMs';

/** Number of plans of the sweep that run in the final of each budget. */
const FINALISTS = 4;

function listEntries(network: Network, { threads, budgets }: Flags): readonly Entry[] {
  const profile = deviceProfile() ?? BUILT_IN_PROFILE;
  const shared = { threads, weights: 'evictable', profile } as const;
  const chosen = (strategy: string) => (budgetBytes: number) =>
    orNone(() => ({ plan: planNetwork(network, { ...shared, strategy, budgetBytes }), budgetBytes }));
  const ours = budgets.flatMap(chosen('optimal'));
  const mafat = budgets.flatMap(chosen('mafat'));
  const byHand = sweepNotations().map((notation) =>
    planNetwork(network, { ...shared, level: 'all', notation, strategy: 'optimal', budgetBytes: Infinity }),
  );
  const plans = new Map([...ours, ...mafat].map(({ plan }) => [keyOf(plan), plan]));
  for (const plan of byHand) plans.set(keyOf(plan), plan);
  const budgetsOf = (choices: typeof ours, key: string) =>
    choices.filter(({ plan }) => keyOf(plan) === key).map(({ budgetBytes }) => budgetBytes);
  return [...plans].map(([key, plan]) => ({
    plan,
    ours: budgetsOf(ours, key),
    mafat: budgetsOf(mafat, key),
    sweepMs: [],
    finalMs: [],
    workingBytes: [],
  }));
}

function orNone<T>(search: () => T): readonly T[] {
  try {
    return [search()];
  } catch (error) {
    if (error instanceof BudgetError) return [];
    throw error;
  }
}

function keyOf({ notation, settings: { level, allocator } }: Plan): string {
  return `${notation}, ${level}, ${allocator}`;
}

async function measure(
  network: Network,
  entries: readonly Entry[],
  {
    rounds,
    stage,
    context,
  }: { readonly rounds: number; readonly stage: Stage; readonly context: CommandContext },
): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const [at, { plan, [stage]: latencyMs, workingBytes }] of entries.entries()) {
      context.signal.throwIfAborted();
      const name = stage === 'sweepMs' ? 'round' : 'final round';
      context.progress.show(`${name} ${round + 1} of ${rounds}, plan ${at + 1} of ${entries.length}`);
      const turn = await takeTurn(planContestant(network, { party: 'ours', plan }), {
        runs: 3,
        check: false,
      });
      latencyMs.push(...turn.latencyMs);
      workingBytes.push(turn.workingBytes);
    }
  }
}

interface Row {
  readonly budgetBytes: number;
  readonly who: string;
  readonly entry: Entry;
  /** Ratio of the latency to that of the best plan. */
  readonly ratio: number;
}

/** Plans that were measured to keep a budget, the fastest first. */
function fitting(entries: readonly Entry[], budgetBytes: number, stage: Stage): readonly Entry[] {
  return entries
    .filter((entry) => entry[stage].length > 0 && median(entry.workingBytes) <= budgetBytes)
    .toSorted((a, b) => median(a[stage]) - median(b[stage]));
}

function finalistsOf(entries: readonly Entry[], budgets: readonly number[]): readonly Entry[] {
  const finalists = budgets.flatMap((budgetBytes) => [
    ...fitting(entries, budgetBytes, 'sweepMs').slice(0, FINALISTS),
    ...entries.filter(({ ours, mafat }) => [...ours, ...mafat].includes(budgetBytes)),
  ]);
  return [...new Set(finalists)];
}

function compare(entries: readonly Entry[], budgets: readonly number[]): readonly Row[] {
  return budgets.flatMap((budgetBytes) => {
    const [best] = fitting(entries, budgetBytes, 'finalMs');
    if (best === undefined) return [];
    const rowsOf = (who: string, chosen: readonly Entry[]) =>
      chosen.map((entry) => ({
        budgetBytes,
        who,
        entry,
        ratio: median(entry.finalMs) / median(best.finalMs),
      }));
    return [
      ...rowsOf('best of the sweep', [best]),
      ...rowsOf(
        'ours',
        entries.filter(({ ours }) => ours.includes(budgetBytes)),
      ),
      ...rowsOf(
        'MAFAT',
        entries.filter(({ mafat }) => mafat.includes(budgetBytes)),
      ),
    ];
  });
}

function printRows(rows: readonly Row[]): void {
  const cells = rows.map(({ budgetBytes, who, entry, ratio }) => [
    formatBytes(budgetBytes),
    who,
    keyOf(entry.plan),
    formatBytes(entry.plan.predicted.workingBytes),
    formatBytes(median(entry.workingBytes)),
    formatMs(entry.plan.predicted.latencyMs),
    formatMs(median(entry.finalMs)),
    `${ratio.toFixed(3)} x`,
  ]);
  printLine(
    formatTable(
      ['budget', 'chosen by', 'plan', 'predicted', 'measured', 'predicted', 'median', 'to the best'],
      cells,
    ),
  );
}

async function main(): Promise<void> {
  const flags = readFlags();
  await withBenchFolder((folder) =>
    withContext('search', async (context) => {
      const { network, remove } = await prepareNetwork(flags.network, { context, folder });
      const entries = listEntries(network, flags);
      await measure(network, entries, { rounds: flags.rounds, stage: 'sweepMs', context });
      const finalists = finalistsOf(entries, flags.budgets);
      await measure(network, finalists, { rounds: flags.final, stage: 'finalMs', context });
      printLine(
        `${flags.network.name}, ${flags.threads} threads: ${entries.length} plans in a sweep of ${flags.rounds} rounds, ` +
          `${finalists.length} of them in a final of ${flags.final} rounds`,
      );
      printRows(compare(entries, flags.budgets));
      await writeResults(flags, { figures: entries.map(jsonOf), panels: [] });
      await remove();
    }),
  );
}

function jsonOf({ plan: { notation, settings, predicted }, ...entry }: Entry) {
  return { notation, settings, predicted, ...entry };
}

await runBench(main);
