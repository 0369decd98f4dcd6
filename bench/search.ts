/**
 * How far the plan that the search chooses is from the best of a sweep of plans by hand, at several budgets of working
 * memory (weights evictable). Every plan of the sweep is run with memory trimmed and retained; plans take turns, round
 * after round, each turn in a process of its own; medians. The best is the fastest that was *measured* to keep the
 * budget, whatever was predicted. Of so many plans the one that seems fastest was also lucky; so for each budget the
 * FINALISTS that were fastest in the sweep, and those that were chosen, run again for `--final` rounds, and only
 * these are compared. MAFAT's choice stands beside.
 *
 *     node dist/bench/search.js [--network yolov2-0-15-608] [--threads 1] [--rounds 3] [--final 8]
 *         [--budgets 48M,27M,22M,18M] [--json FILE]
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import type { CommandContext } from '../agent/cli/context.js';
import { withContext } from '../agent/cli/context.js';
import { parseCount, parseMemory, parseThreads } from '../agent/cli/parse-options.js';
import { formatBytes, formatMs, formatTable, printLine } from '../agent/cli/print.js';
import { deviceProfile } from '../agent/planning/device-profiles.js';
import type { Network } from '../agent/planning/open-model.js';
import { planNetwork } from '../agent/planning/plan-network.js';
import { BUILT_IN_PROFILE, median } from '../shared/predict/index.js';
import type { Plan } from '../shared/search/index.js';
import { BudgetError } from '../shared/search/index.js';
import { takeTurn } from './latency-memory-turn.js';
import type { BenchNetwork } from './networks.js';
import { findNetwork } from './networks.js';
import { planContestant } from './plan-contestants.js';
import { prepareNetwork } from './prepare-network.js';
import { runBench } from './run-bench.js';

interface Flags {
  readonly network: BenchNetwork;
  readonly threads: number;
  readonly rounds: number;
  readonly final: number;
  readonly budgets: readonly number[];
  readonly json?: string;
}

const MIB = 2 ** 20;

function readFlags(): Flags {
  return new Command('search')
    .option('--network <name>', 'one of the benches', findNetwork, findNetwork('yolov2-0-15-608'))
    .option('--threads <number>', 'of one operator', parseThreads, 1)
    .option('--rounds <number>', 'turns of each plan', parseCount, 3)
    .option('--final <number>', 'turns of those that are compared', parseCount, 8)
    .option(
      '--budgets <sizes>',
      'by commas',
      (text: string) => text.split(',').map(parseMemory),
      [48, 27, 22, 18].map((mega) => mega * MIB),
    )
    .option('--json <file>', 'write all figures')
    .parse()
    .opts<Flags>();
}

/** Streams whole, cut and linked at the pools, with late layers whole: 34 notations of YOLOv2's first 16 layers. */
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
  /** Budgets at which ours, or MAFAT's search, chose it. */
  readonly ours: readonly number[];
  readonly mafat: readonly number[];
  /** In the sweep, and in the final. */
  readonly sweepMs: number[];
  readonly finalMs: number[];
  readonly workingBytes: number[];
}

type Stage = 'sweepMs' | 'finalMs';

const FINALISTS = 4;

function listEntries(network: Network, { threads, budgets }: Flags): readonly Entry[] {
  const profile = deviceProfile() ?? BUILT_IN_PROFILE;
  const shared = { threads, weights: 'evictable', profile } as const;
  const chosen = (strategy: string) => (budgetBytes: number) =>
    orNone(() => ({ plan: planNetwork(network, { ...shared, strategy, budgetBytes }), budgetBytes }));
  const ours = budgets.flatMap(chosen('optimal'));
  const mafat = budgets.flatMap(chosen('mafat'));
  const byHand = sweepNotations().flatMap((notation) =>
    (['trimmed', 'retained'] as const).map((malloc) =>
      planNetwork(network, {
        ...shared,
        level: 'all',
        malloc,
        notation,
        strategy: 'optimal',
        budgetBytes: Infinity,
      }),
    ),
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

function keyOf({ notation, settings: { level, malloc } }: Plan): string {
  return `${notation}, ${level}, ${malloc}`;
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
  /** Over the best. */
  readonly ratio: number;
}

/** Those that were measured to keep a budget, the fastest first. */
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
  const folder = await mkdtemp(join(tmpdir(), 'mafat-bench-'));
  try {
    await withContext('search', async (context) => {
      const { network, remove } = await prepareNetwork(flags.network, { context, folder });
      const entries = listEntries(network, flags);
      await measure(network, entries, { rounds: flags.rounds, stage: 'sweepMs', context });
      const finalists = finalistsOf(entries, flags.budgets);
      await measure(network, finalists, { rounds: flags.final, stage: 'finalMs', context });
      printLine(
        `${flags.network.name}, ${flags.threads} threads, ${entries.length} plans, ${flags.rounds} rounds, ` +
          `${finalists.length} of them in the final, ${flags.final} rounds`,
      );
      printRows(compare(entries, flags.budgets));
      if (flags.json !== undefined) await writeFile(flags.json, JSON.stringify(entries.map(jsonOf), null, 2));
      await remove();
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function jsonOf({ plan: { notation, settings, predicted }, ...entry }: Entry) {
  return { notation, settings, predicted, ...entry };
}

await runBench(main);
