/** One contestant of bench/limits under one limit: up to three tries, for the kernel's kills are a matter of luck. */

import type { MemoryGroup } from './cgroup.js';
import type { FaultCounts } from './cgroup-faults.js';
import { evictFiles, faultsBetween, readFaults } from './cgroup-faults.js';
import type { Contestant, ContestantProcess } from './contestant.js';
import { settle } from './contestant.js';

const TRIES = 3;

export interface LimitedTurn {
  /** Empty if no try survived. */
  readonly latencyMs: readonly number[];
  /** Sums over the timed runs. */
  readonly faults: FaultCounts | undefined;
  readonly tries: number;
  /** Tries that ended in the kernel's OOM killer. */
  readonly kills: number;
  /** Why the last try failed, if it did. */
  readonly failure: string | undefined;
}

export interface LimitedOptions {
  /** None means no limits can be set: the contestant just runs. */
  readonly group: MemoryGroup | undefined;
  readonly limitBytes: number | undefined;
  readonly runs: number;
  /** Files that the contestant will map or read. */
  readonly folder: string;
}

export async function takeLimitedTurn(contestant: Contestant, options: LimitedOptions): Promise<LimitedTurn> {
  let kills = 0;
  for (let tries = 1; ; tries += 1) {
    const before = options.group?.oomKills() ?? 0;
    const attempt = await tryTurn(contestant, options);
    const wasKilled = (options.group?.oomKills() ?? 0) > before;
    if (wasKilled) kills += 1;
    if (attempt.failure === undefined || !wasKilled || tries === TRIES) return { ...attempt, tries, kills };
  }
}

type Attempt = Pick<LimitedTurn, 'latencyMs' | 'faults' | 'failure'>;

async function tryTurn(contestant: Contestant, options: LimitedOptions): Promise<Attempt> {
  const process = await contestant.start();
  try {
    await evictFiles(options.folder);
    options.group?.setLimit(options.limitBytes);
    options.group?.add(process.pid);
    return { ...(await timeRuns(process, options.runs)), failure: undefined };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    return { latencyMs: [], faults: undefined, failure };
  } finally {
    await process.stop();
    await settle();
  }
}

async function timeRuns(process: ContestantProcess, runs: number): Promise<Omit<Attempt, 'failure'>> {
  await process.load();
  await process.run();
  const before = readFaults(process.pid);
  const latencyMs: number[] = [];
  for (let run = 0; run < runs; run += 1) latencyMs.push(await process.run());
  return { latencyMs, faults: faultsBetween(before, readFaults(process.pid)) };
}
