/**
 * Whoever runs a network in a bench: stock ONNX Runtime, OpenCV, and our executor by a plan. Each turn in a
 * process of its own, that is idle when started: its runtime has run something trivial, its model isn't loaded.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { OutputTensor } from '../agent/engine/wire/protocol.js';
import type { Level } from '../shared/predict/index.js';
import type { Plan } from '../shared/search/index.js';

/** Who a contestant is for: what is usual, what the paper does, what we do. */
export type Party = 'stock' | 'OpenCV' | 'MAFAT' | 'ours';

export interface Contestant {
  readonly party: Party;
  readonly name: string;
  readonly start: () => Promise<ContestantProcess>;
  /** Of ONNX Runtime, if that runs it. */
  readonly level?: Level;
  /** The plan it runs by; stock has none. */
  readonly plan?: Plan;
  /** Budgets at which a search chose this plan; none for one by hand. */
  readonly budgets?: readonly number[];
}

export interface ContestantProcess {
  readonly pid: number;
  /** Private memory when started. */
  readonly idleBytes: number;
  readonly load: () => Promise<void>;
  /** @returns latency in milliseconds, from input to outputs. @throws {Error} if the process is gone. */
  readonly run: () => Promise<number>;
  /** Outputs for `noiseInput`; undefined where there are none to compare. */
  readonly check: () => Promise<readonly OutputTensor[] | undefined>;
  readonly stop: () => Promise<void>;
}

/** A single load or run; what takes longer is called off. */
export const DEADLINE_MS = 5 * 60_000;

/** ONNX Runtime's idle threads spin for a while; the next one shouldn't run beside them. */
const SETTLE_MS = 50;

export async function settle(): Promise<void> {
  await delay(SETTLE_MS);
}
