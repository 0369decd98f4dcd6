/** Lets contestants take turns and summarises the turns. */

import type { CommandContext } from '../agent/cli/context.js';
import { verifyOutputs } from '../agent/cli/verify-outputs.js';
import type { OutputTensor } from '../agent/engine/wire/protocol.js';
import { present } from '../shared/graph/index.js';
import { median } from '../shared/predict/index.js';
import type { Contestant } from './contestant.js';
import type { Row } from './latency-memory-report.js';
import type { CheckedTurn } from './latency-memory-turn.js';
import { takeTurn } from './latency-memory-turn.js';

interface CompeteOptions {
  readonly rounds: number;
  readonly runs: number;
  readonly title: string;
  readonly context: CommandContext;
}

export async function compete(
  contestants: readonly Contestant[],
  { rounds, runs, title, context }: CompeteOptions,
): Promise<readonly Row[]> {
  const turns = new Map<Contestant, CheckedTurn[]>(contestants.map((contestant) => [contestant, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [contestant, taken] of turns) {
      context.signal.throwIfAborted();
      context.progress.show(`${title}, round ${round + 1} of ${rounds}: ${contestant.name}`);
      taken.push(await takeTurn(contestant, { runs, check: round === 0 }));
    }
  }
  return summarize(turns);
}

function summarize(turns: ReadonlyMap<Contestant, readonly CheckedTurn[]>): readonly Row[] {
  const entries = [...turns];
  const rows = entries.map(([contestant, taken]) => {
    const latencies = taken.flatMap(({ latencyMs }) => latencyMs);
    const workings = taken.map(({ workingBytes }) => workingBytes);
    return {
      party: contestant.party,
      contestant: contestant.name,
      budgets: contestant.budgets ?? [],
      workingBytes: median(workings),
      workingBytesMost: Math.max(...workings),
      medianMs: median(latencies),
      minMs: Math.min(...latencies),
      latencyMs: latencies,
      ...differenceOf(contestant, {
        outputs: taken[0]?.outputs,
        reference: referenceFor(contestant, entries),
      }),
    };
  });
  const [first] = rows.filter(({ party }) => party === 'stock').sort((a, b) => a.medianMs - b.medianMs);
  const fastest = present(first, 'a stock contestant');
  return rows.map((row) => ({
    ...row,
    memoryRatio: row.workingBytes / fastest.workingBytes,
    latencyRatio: row.medianMs / fastest.medianMs,
  }));
}

interface Compared {
  readonly outputs: readonly OutputTensor[] | undefined;
  readonly reference: readonly OutputTensor[] | undefined;
}

/** Outputs of stock ONNX Runtime at the same level. */
function referenceFor(
  { level }: Contestant,
  turns: readonly (readonly [Contestant, readonly CheckedTurn[]])[],
): readonly OutputTensor[] | undefined {
  const untiled = turns.find(([other]) => other.party === 'stock' && other.level === level);
  return untiled?.[1][0]?.outputs;
}

/**
 * Difference of a plan's outputs from the reference. Folded and cut models may round differently from the stored
 * model, so the wider bound of the equality law applies.
 */
function differenceOf({ plan }: Contestant, { outputs, reference }: Compared): Pick<Row, 'difference'> {
  if (plan === undefined || outputs === undefined || reference === undefined) return {};
  const { maxAbsDiff, maxAbsReference, exact } = verifyOutputs(outputs, reference, { bitExact: false });
  return { difference: { relative: maxAbsDiff / maxAbsReference, exact } };
}
