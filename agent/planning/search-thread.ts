/**
 * Searches for a plan without blocking the event loop. The worker ends with its search, so that its heap isn't held
 * for the months in which nothing is searched.
 */

import { Worker } from 'node:worker_threads';
import type { Graph } from '../../shared/graph/index.js';
import type { DeviceProfile, PredictSettings, RunSettings } from '../../shared/predict/index.js';
import type { Plan, WeightsPolicy } from '../../shared/search/index.js';
import { BudgetError, budgetedBytes, buildPlan, parsePlan } from '../../shared/search/index.js';

export interface SearchJob {
  readonly graph: Graph;
  readonly strategy: string;
  readonly variants: readonly RunSettings[];
  readonly budgetBytes: number;
  readonly weights: WeightsPolicy;
  readonly copiesWeights?: boolean;
  readonly profile?: DeviceProfile;
}

/** The plan that was found, or the smallest one if none fits. */
export interface SearchAnswer {
  readonly kind: 'plan' | 'smallest';
  readonly notation: string;
  readonly settings: RunSettings;
}

/** A search takes 40 MB for a network of 200 nodes. A search that wants far more fails instead of the agent. */
const LIMITS = { maxOldGenerationSizeMb: 256 };

/** @throws {BudgetError} if no plan fits; {Error} if the search failed, or the signal aborts. */
export async function searchInThread(job: SearchJob, signal?: AbortSignal): Promise<Plan> {
  const { notation, settings, kind } = await ask(job, signal);
  const known: Omit<PredictSettings, keyof RunSettings> = {
    ...(job.copiesWeights === undefined ? {} : { copiesWeights: job.copiesWeights }),
    ...(job.profile === undefined ? {} : { profile: job.profile }),
  };
  const plan = buildPlan(job.graph, parsePlan(notation), { ...known, ...settings });
  if (kind === 'plan') return plan;
  throw new BudgetError(job.budgetBytes, plan, budgetedBytes(plan.predicted, job.weights));
}

async function ask(job: SearchJob, signal?: AbortSignal): Promise<SearchAnswer> {
  signal?.throwIfAborted();
  const worker = new Worker(new URL('./search-worker.js', import.meta.url), {
    workerData: job,
    resourceLimits: LIMITS,
  });
  const abort = () => void worker.terminate();
  signal?.addEventListener('abort', abort, { once: true });
  return new Promise<SearchAnswer>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) =>
      reject(signal?.reason ?? new Error(`Cannot plan: the search ended with code ${code}`)),
    );
  }).finally(() => {
    signal?.removeEventListener('abort', abort);
    void worker.terminate();
  });
}
