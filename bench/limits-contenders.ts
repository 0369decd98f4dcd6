/** Finds the contestants of bench/limits. */

import type { CommandContext } from '../agent/cli/context.js';
import { planNetwork } from '../agent/planning/plan-network.js';
import { STRATEGIES } from '../agent/planning/strategies.js';
import { median } from '../shared/predict/index.js';
import type { Plan } from '../shared/search/index.js';
import { BudgetError } from '../shared/search/index.js';
import type { Contestant, Party } from './contestant.js';
import { takeTurn } from './latency-memory-turn.js';
import { planContestant } from './plan-contestants.js';
import type { PreparedNetwork } from './prepare-network.js';

export interface Contender {
  readonly party: Party;
  readonly name: string;
  /** Contestant that runs under a limit; undefined means no limit. */
  readonly at: (limitBytes: number | undefined) => Contestant;
}

interface ContenderOptions {
  readonly context: CommandContext;
  readonly threads: number;
  readonly notations: readonly string[];
}

export async function findContenders(
  prepared: PreparedNetwork,
  options: ContenderOptions,
): Promise<readonly Contender[]> {
  const { threads, notations, context } = options;
  const settings = { threads, weights: 'resident', strategy: 'mafat' } as const;
  const byHand = notations.map((notation) =>
    planNetwork(prepared.network, { ...settings, notation, budgetBytes: Number.POSITIVE_INFINITY }),
  );
  return [
    ...(await findStock(prepared.stock(threads), context)).map(always),
    ...[...STRATEGIES.keys()].map((strategy) => planner(prepared, { strategy, threads })),
    ...byHand.map((plan) => always(planContestant(prepared.network, { party: 'ours', plan }))),
  ];
}

function always(contestant: Contestant): Contender {
  return { party: contestant.party, name: contestant.name, at: () => contestant };
}

/** The fastest and the leanest stock setting without a limit, and OpenCV if it is installed. */
async function findStock(
  contestants: readonly Contestant[],
  context: CommandContext,
): Promise<readonly Contestant[]> {
  const measured: { contestant: Contestant; medianMs: number; workingBytes: number }[] = [];
  for (const contestant of contestants) {
    context.progress.show(`looking for the fastest and the leanest setting: ${contestant.name}`);
    const { latencyMs, workingBytes } = await takeTurn(contestant, { runs: 3, check: false });
    measured.push({ contestant, medianMs: median(latencyMs), workingBytes });
  }
  const stock = measured.filter(({ contestant }) => contestant.party === 'stock');
  const fastest = stock.toSorted((a, b) => a.medianMs - b.medianMs)[0]?.contestant;
  const leanest = stock.toSorted((a, b) => a.workingBytes - b.workingBytes)[0]?.contestant;
  const others = contestants.filter(({ party }) => party !== 'stock');
  return [...new Set([fastest, leanest, ...others])].filter((one) => one !== undefined);
}

interface PlannerOptions {
  readonly strategy: string;
  readonly threads: number;
}

/** A search whose budget is the limit, weights included. Without a limit its budget is infinite. */
function planner({ network }: PreparedNetwork, { strategy, threads }: PlannerOptions): Contender {
  const party = strategy === 'mafat' ? 'MAFAT' : 'ours';
  const settings = { strategy, threads, weights: 'resident' } as const;
  const at = (budgetBytes = Number.POSITIVE_INFINITY) => {
    const plan = orSmallest(() => planNetwork(network, { ...settings, budgetBytes }));
    return planContestant(network, { party, plan });
  };
  return { party, name: `${strategy}, planned for the limit`, at };
}

/** The plan of a search, or the smallest plan if none fits the budget. */
function orSmallest(search: () => Plan): Plan {
  try {
    return search();
  } catch (error) {
    if (error instanceof BudgetError) return error.smallest;
    throw error;
  }
}
