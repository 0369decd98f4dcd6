/**
 * Why an executor ended. The kernel kills by SIGKILL and doesn't say why, so its counts of kills before and after tell.
 */
import type { ExecutorGroup, GroupKills } from '../board/executor-group.js';
import { countOomKills } from '../board/oom-kills.js';

/**
 * - over-limit: killed by the kernel, since it took more than its own group may; its plan broke its promise.
 * - out-of-memory: killed by the kernel, since the board or a group above was short.
 * - killed: by another SIGKILL, by a person for example.
 * - crashed: ended by itself or by a signal of its own fault.
 * - hung: gave no sign of life for too long, and was killed by the agent.
 * - garbage: said what no executor says, and was killed by the agent.
 * - wrong: gave a wrong answer to the self-check's picture, and was ended by the agent.
 * - aborted: killed by the agent, since its request was no longer wanted.
 * - stopped: ended by the agent in order, or never started.
 */
export type EndReason =
  | 'over-limit'
  | 'out-of-memory'
  | 'killed'
  | 'crashed'
  | 'hung'
  | 'garbage'
  | 'wrong'
  | 'aborted'
  | 'stopped';

export interface ExecutorEnd {
  readonly reason: EndReason;
  /** For people. */
  readonly text: string;
}

const KILL_TEXTS = {
  'over-limit': 'killed by the kernel: it took more memory than its plan may',
  'out-of-memory': 'killed by the kernel for want of memory on the board',
  killed: 'killed by SIGKILL, not by the kernel',
} as const;

/** Sees an executor's whole life, since the counts before it tell what is new. */
export class EndWitness {
  readonly #group: ExecutorGroup | undefined;
  readonly #groupBefore: GroupKills | undefined;
  readonly #boardBefore: number | undefined;

  /** @param group the executor's own, if it has one. */
  constructor(group?: ExecutorGroup) {
    this.#group = group;
    this.#groupBefore = group?.countKills();
    this.#boardBefore = countOomKills();
  }

  explain(code: number | null, signal: NodeJS.Signals | null): ExecutorEnd {
    if (signal === null) return { reason: 'crashed', text: `exited with code ${code}` };
    if (signal !== 'SIGKILL') return { reason: 'crashed', text: `ended by ${signal}` };
    const reason = this.#whoKilled();
    return { reason, text: KILL_TEXTS[reason] };
  }

  /** The group's counts are exact. Those of the board are everybody's, and absent before Linux 4.13. */
  #whoKilled(): 'over-limit' | 'out-of-memory' | 'killed' {
    const [before, after] = [this.#groupBefore, this.#group?.countKills()];
    if (before !== undefined && after !== undefined) {
      if (after.kills === before.kills) return 'killed';
      return after.limitHits > before.limitHits ? 'over-limit' : 'out-of-memory';
    }
    const board = countOomKills();
    return board === undefined || board !== this.#boardBefore ? 'out-of-memory' : 'killed';
  }
}
