/** A process that searches once and ends. search.ts starts it. */
import type { FrontPoint } from '../../shared/search/index.js';
import { BudgetError, searchFront, searchVariants } from '../../shared/search/index.js';
import type { FrontJob, FrontSummary, PlanJob, SearchJob, SearchMessage } from './search.js';
import { strategyNamed } from './strategies.js';

/** Progress goes out this often at most. */
const PROGRESS_MS = 100;

function searchPlan({ graph, strategy, ...options }: PlanJob): SearchMessage {
  try {
    const { notation, settings } = searchVariants(graph, strategyNamed(strategy), options);
    return { kind: 'plan', notation, settings };
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    const { notation, settings } = error.smallest;
    return { kind: 'smallest', notation, settings };
  }
}

function searchPoints({ graph, ...options }: FrontJob): FrontSummary {
  let lastMs = 0;
  const onProgress = (done: number, total: number) => {
    if (performance.now() - lastMs < PROGRESS_MS) return;
    lastMs = performance.now();
    send({ kind: 'progress', done, total });
  };
  const { points, complete } = searchFront(graph, { ...options, onProgress });
  return { points: points.map(summarize), complete };
}

function summarize({ plan: { notation, settings, predicted } }: FrontPoint) {
  return { notation, settings, predicted };
}

function answer(job: SearchJob): SearchMessage {
  try {
    return job.kind === 'plan' ? searchPlan(job) : { kind: 'front', ...searchPoints(job) };
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    return { kind: 'error', name, message };
  }
}

function send(message: SearchMessage): void {
  // Without the agent there is nobody to answer.
  process.send?.(message, undefined, undefined, (error) => {
    if (error !== null) process.exit(0);
  });
}

process.on('disconnect', () => process.exit(0));
// Ctrl-C and service managers signal the whole group; the agent ends this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.once('message', (job: SearchJob) => send(answer(job)));
