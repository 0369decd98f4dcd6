/** A search in a thread of its own. Its result goes back as a notation and settings. search-thread.ts starts it. */

import { parentPort, workerData } from 'node:worker_threads';
import { BudgetError, searchVariants } from '../../shared/search/index.js';
import { strategyNamed } from './plan-network.js';
import type { SearchAnswer, SearchJob } from './search-thread.js';

function answer({ graph, strategy, ...options }: SearchJob): SearchAnswer {
  try {
    const { notation, settings } = searchVariants(graph, strategyNamed(strategy), options);
    return { kind: 'plan', notation, settings };
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    const { notation, settings } = error.smallest;
    return { kind: 'smallest', notation, settings };
  }
}

parentPort?.postMessage(answer(workerData as SearchJob));
