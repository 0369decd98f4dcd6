/** A turn of a contestant of bench/limits. A kill is a matter of chance, so a killed contestant tries again. */

import type { MemoryGroup } from './cgroup.js';
import type { FaultCounts } from './cgroup-faults.js';
import { evictFiles, faultsBetween, readFaults } from './cgroup-faults.js';
import type { Contestant, ContestantProcess } from './contestant.js';
import { settle } from './contestant.js';

/** Number of tries until a contestant counts as killed. */
const TRIES = 3;

export interface LimitedTurn {
  /** Latencies of the timed runs; none if no try survived. */
  readonly latencyMs: readonly number[];
  /** Counts summed over the timed runs. */
  readonly faults: FaultCounts | undefined;
  readonly tries: number;
  /** Number of tries that the kernel's OOM killer ended. */
  readonly kills: number;
  /** Reason of the last try's failure, if it failed. */
  readonly failure: string | undefined;
}

interface LimitedOptions {
  /** Group that the limit is set for. Without one no limit can be set. */
  readonly group: MemoryGroup | undefined;
  readonly limitBytes: number | undefined;
  readonly runs: number;
  /** Folder of the files that the contestant maps or reads. */
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
