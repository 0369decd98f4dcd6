/**
 * Contestants of the benches, which run the same network: stock ONNX Runtime, OpenCV and mafat's executor.
 *
 * Each turn has a new process. When it starts it is idle: its runtime has run a trivial model, and the network isn't
 * loaded.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { OutputTensor } from '../agent/engine/wire/protocol.js';
import type { Level } from '../shared/predict/index.js';
import type { Plan } from '../shared/search/index.js';

/** Side that a contestant belongs to: usual runtimes, the search of the MAFAT paper, or this project. */
export type Party = 'stock' | 'OpenCV' | 'MAFAT' | 'ours';

export interface Contestant {
  readonly party: Party;
  readonly name: string;
  readonly start: () => Promise<ContestantProcess>;
  /** Optimisation level of ONNX Runtime, if it runs the network. */
  readonly level?: Level;
  /** Plan of the network; stock runtimes have none. */
  readonly plan?: Plan;
  /** Budgets at which a search chose the plan; none for a plan by hand. */
  readonly budgets?: readonly number[];
}

export interface ContestantProcess {
  readonly pid: number;
  /** Private memory after the start. */
  readonly idleBytes: number;
  readonly load: () => Promise<void>;
  /** @returns latency in milliseconds, from input to outputs. @throws {Error} if the process is gone. */
  readonly run: () => Promise<number>;
  /** Outputs for `noiseInput`; undefined if they can't be compared. */
  readonly check: () => Promise<readonly OutputTensor[] | undefined>;
  readonly stop: () => Promise<void>;
}

/** Longest time of one load or run, after which it fails. */
export const DEADLINE_MS = 5 * 60_000;

/** Pause after a turn. ONNX Runtime's idle threads spin for a while and would disturb the next turn. */
const SETTLE_MS = 50;

/** Waits until the processes of a turn have come to rest. */
export async function settle(): Promise<void> {
  await delay(SETTLE_MS);
}
