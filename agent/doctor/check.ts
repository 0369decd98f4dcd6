/**
 * One thing that `mafat doctor` looks at. A check never fails the command: what it throws, and what takes too long, is a
 * finding like any other. Findings name values of the board and of the configuration, never secrets.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/config-schema.js';

export type Verdict = 'ok' | 'warning' | 'error';

export interface Finding {
  readonly check: string;
  /** `error` where the agent can't serve as configured; `warning` where it serves worse than it could. */
  readonly verdict: Verdict;
  readonly text: string;
  /** What a person should do next; absent where all is well. */
  readonly next?: string;
}

export type Result = Omit<Finding, 'check'>;

export interface Surroundings {
  /** Where /proc, /sys, /etc and /run are; tests give a tree of their own. */
  readonly root: string;
  readonly env: NodeJS.ProcessEnv;
  readonly config: Config;
  readonly modelsFolder: string;
  /** Folder of the database, where the config names none. */
  readonly stateFolder: string;
}

export interface Check {
  readonly name: string;
  /** @param signal aborts when the time is over. */
  readonly run: (
    surroundings: Surroundings,
    signal: AbortSignal,
  ) => readonly Result[] | Promise<readonly Result[]>;
}

/** Longest time for one check. */
const LIMIT_MS = 5000;

export const fine = (text: string): Result => ({ verdict: 'ok', text });
export const poor = (text: string, next: string): Result => ({ verdict: 'warning', text, next });
export const bad = (text: string, next: string): Result => ({ verdict: 'error', text, next });

/** What the check finds within its time; never throws. */
export async function runCheck(
  { name, run }: Check,
  surroundings: Surroundings,
  limitMs = LIMIT_MS,
): Promise<readonly Finding[]> {
  const time = new AbortController();
  try {
    const looking = Promise.resolve().then(() => run(surroundings, time.signal));
    const results = await Promise.race([looking, tooLate(limitMs, time.signal)]);
    return results.map((result) => ({ check: name, ...result }));
  } catch (error) {
    return [{ check: name, ...poor(`not looked at: ${messageOf(error)}`, 'report it if it stays') }];
  } finally {
    time.abort();
  }
}

async function tooLate(limitMs: number, signal: AbortSignal): Promise<readonly Result[]> {
  await sleep(limitMs, undefined, { signal });
  return [
    poor(`no answer within ${limitMs / 1000} s`, 'look at it by hand: a device or the network may hang'),
  ];
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
