/**
 * How long an executor may be silent, and how soon one that keeps ending is started again.
 *
 * A step may take five times what it should, and ten seconds at least. Predictions may be wrong by far, so what the last
 * run took counts, too, and each hang doubles the time until a run succeeds: a slow board isn't a broken one.
 *
 * After three ends in a row without a run between them the next start waits, so that a node that can't run doesn't
 * burn its board.
 */
import type { Plan } from '../../shared/search/index.js';
import { ExecutorError } from './executor-client.js';
import type { EndReason } from './executor-end.js';

const LEAST_MS = 10_000;
const MOST_MS = 10 * 60_000;
const TIMES = 5;

/** Ends in a row that are answered by a start at once, and the pauses after that, in seconds. */
const FREE_STARTS = 3;
const PAUSES_S = [1, 2, 5, 10, 20, 30] as const;

export class Patience {
  /** How much longer runs take than predicted; 1 if they don't. */
  #slowness = 1;
  #hangs = 0;
  #ends = 0;
  #startsAtMs = 0;

  /** Longest silence during a run of a plan, in milliseconds. @param stepCounts of its segments. */
  stepMs({ segments }: Pick<Plan, 'segments'>, stepCounts: readonly number[]): number {
    const steps = segments.map(({ prediction: { latencyMs } }, at) => latencyMs / (stepCounts[at] ?? 1));
    const expected = TIMES * this.#slowness * Math.max(...steps);
    return Math.min(MOST_MS, Math.max(LEAST_MS, expected) * 2 ** this.#hangs);
  }

  /** A run has succeeded. */
  reward({ predicted }: Pick<Plan, 'predicted'>, latencyMs: number): void {
    this.#slowness = Math.max(1, latencyMs / predicted.latencyMs);
    this.#hangs = 0;
    this.#ends = 0;
  }

  /** An executor has ended unasked. */
  punish(reason: EndReason, nowMs = performance.now()): void {
    if (reason === 'hung') this.#hangs += 1;
    this.#ends += 1;
    const pause = PAUSES_S[Math.min(this.#ends - FREE_STARTS, PAUSES_S.length) - 1] ?? 0;
    this.#startsAtMs = nowMs + 1000 * pause;
  }

  /** Why the executor isn't to be relied on; undefined while it is. */
  get fault(): string | undefined {
    return this.#ends >= FREE_STARTS ? `executor lost ${this.#ends} times in a row` : undefined;
  }

  /** @throws {ExecutorError} if the next start has to wait. */
  checkStart(nowMs = performance.now()): void {
    const leftMs = Math.ceil(this.#startsAtMs - nowMs);
    if (leftMs > 0)
      throw new ExecutorError(`Executor lost ${this.#ends} times in a row: started again in ${leftMs} ms`);
  }
}
