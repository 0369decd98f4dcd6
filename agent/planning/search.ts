/**
 * Searches for plans in a process of its own, which the kernel may kill before the agent, and which ends with its
 * search. The event loop stays free meanwhile, and an abort ends the search at once.
 */
import type { ChildProcess } from 'node:child_process';
import type { Graph } from '../../shared/graph/index.js';
import type { DeviceProfile, PredictSettings, RunSettings } from '../../shared/predict/index.js';
import type { Plan, PlanPrediction, WeightsPolicy } from '../../shared/search/index.js';
import { BudgetError, budgetedBytes, buildPlan, parsePlan } from '../../shared/search/index.js';
import { forkDisposable } from '../board/disposable-child.js';

/** What every search needs to know. */
interface Known {
  readonly graph: Graph;
  readonly variants: readonly RunSettings[];
  readonly weights: WeightsPolicy;
  readonly copiesWeights?: boolean;
  readonly profile?: DeviceProfile;
}

/** Asks for the plan of one budget. */
export interface PlanJob extends Known {
  readonly kind: 'plan';
  readonly strategy: string;
  readonly budgetBytes: number;
}

/** Asks for all plans that are worth it, from the smallest to the fastest. */
export interface FrontJob extends Known {
  readonly kind: 'front';
}

export type SearchJob = PlanJob | FrontJob;

/** A plan in few words, from which it can be built. */
export interface PlanSummary {
  readonly notation: string;
  readonly settings: RunSettings;
  readonly predicted: PlanPrediction;
}

/** The plans of a front, and whether the search came to its end. */
export interface FrontSummary {
  readonly points: readonly PlanSummary[];
  readonly complete: boolean;
}

/** Messages of the searching process. */
export type SearchMessage =
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'plan' | 'smallest'; readonly notation: string; readonly settings: RunSettings }
  | ({ readonly kind: 'front' } & FrontSummary)
  | { readonly kind: 'error'; readonly name: string; readonly message: string };

type SearchAnswer = Exclude<SearchMessage, { kind: 'progress' | 'error' }>;

export interface SearchOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
  /** Called with the process's id once it runs. */
  readonly onStart?: (pid: number) => void;
}

/** A search takes 40 MB for a network of 200 nodes. A search that wants far more fails instead of the board. */
const NODE_FLAGS = ['--max-old-space-size=256', '--max-semi-space-size=4', '--v8-pool-size=1'];

/** @throws {BudgetError} if no plan fits; {Error} if the search failed; the signal's reason. */
export async function searchPlanFor(job: Omit<PlanJob, 'kind'>, options: SearchOptions = {}): Promise<Plan> {
  const answer = await ask({ kind: 'plan', ...job }, options);
  if (answer.kind === 'front') throw new Error('Cannot plan: the search answered with a front');
  const plan = buildPlan(job.graph, parsePlan(answer.notation), { ...knownOf(job), ...answer.settings });
  if (answer.kind === 'plan') return plan;
  throw new BudgetError(job.budgetBytes, plan, budgetedBytes(plan.predicted, job.weights));
}

/** @throws {Error} if the search failed; the signal's reason. */
export async function searchFrontOf(
  job: Omit<FrontJob, 'kind'>,
  options: SearchOptions = {},
): Promise<FrontSummary> {
  const answer = await ask({ kind: 'front', ...job }, options);
  if (answer.kind !== 'front') throw new Error('Cannot plan: the search answered with a plan');
  const { points, complete } = answer;
  return { points, complete };
}

function knownOf({
  copiesWeights,
  profile,
}: Omit<SearchJob, 'kind'>): Omit<PredictSettings, keyof RunSettings> {
  return {
    ...(copiesWeights === undefined ? {} : { copiesWeights }),
    ...(profile === undefined ? {} : { profile }),
  };
}

async function ask(job: SearchJob, { signal, onProgress, onStart }: SearchOptions): Promise<SearchAnswer> {
  signal?.throwIfAborted();
  const script = new URL('./search-process.js', import.meta.url);
  const child = forkDisposable(script, { role: 'planner', execArgv: NODE_FLAGS });
  if (child.pid !== undefined) onStart?.(child.pid);
  const abort = () => void child.kill('SIGKILL');
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await answerOf(child, job, onProgress);
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', abort);
    child.kill('SIGKILL');
  }
}

function answerOf(
  child: ChildProcess,
  job: SearchJob,
  onProgress: SearchOptions['onProgress'],
): Promise<SearchAnswer> {
  return new Promise<SearchAnswer>((resolve, reject) => {
    child.on('message', (message: SearchMessage) => {
      if (message.kind === 'progress') onProgress?.(message.done, message.total);
      else if (message.kind === 'error') reject(errorOf(message));
      else resolve(message);
    });
    child.on('error', reject);
    child.on('exit', (code, signal) =>
      reject(new Error(`Cannot plan: the search ended with ${signal ?? `code ${code}`}`)),
    );
    // A process that can't be reached has ended, and its end says why.
    child.send(job, () => undefined);
  });
}

function errorOf({ name, message }: Extract<SearchMessage, { kind: 'error' }>): Error {
  return name === 'RangeError' ? new RangeError(message) : new Error(message);
}
