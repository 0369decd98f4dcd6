/** The surroundings of a command: the model store, an executor that starts on demand, progress, and cleaning up. */

import type { ExecutorClient } from '../engine/executor-client.js';
import { startExecutor } from '../engine/executor-client.js';
import { defaultModelsFolder, ModelStore } from '../models/model-store.js';
import type { AskExecutor } from '../models/specialize.js';
import type { Progress } from './progress.js';
import { startProgress } from './progress.js';

export interface CommandContext {
  readonly store: ModelStore;
  readonly executor: AskExecutor;
  /** Ends the executor, so that its memory is free when another one is measured. */
  readonly releaseExecutor: () => Promise<void>;
  readonly progress: Progress;
  /** Signal that SIGINT and SIGTERM abort. */
  readonly signal: AbortSignal;
}

/** Runs a command's work and cleans up after it, whatever happens. */
export async function withContext<T>(
  title: string,
  work: (context: CommandContext) => Promise<T>,
): Promise<T> {
  const progress = startProgress(title);
  const { signal, ignore } = abortOnSignals();
  let executor: ExecutorClient | undefined;
  const releaseExecutor = async () => {
    await executor?.stop();
    executor = undefined;
  };
  const askExecutor = async () => {
    executor ??= await startExecutor();
    return executor;
  };
  signal.addEventListener('abort', () => void releaseExecutor());
  try {
    const store = new ModelStore(defaultModelsFolder());
    return await work({ store, executor: askExecutor, releaseExecutor, progress, signal });
  } finally {
    ignore();
    progress.stop();
    await releaseExecutor();
  }
}

/** Exit codes by signal: 128 + the number of the signal, by convention. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** An AbortSignal for a command's work. The first process signal aborts it; a second one ends the process. */
function abortOnSignals(): { readonly signal: AbortSignal; readonly ignore: () => void } {
  const controller = new AbortController();
  const names = Object.keys(SIGNALS) as (keyof typeof SIGNALS)[];
  const abort = (name: NodeJS.Signals) => {
    process.exitCode = SIGNALS[name as keyof typeof SIGNALS];
    ignore();
    controller.abort(new Error(`ended by ${name}`));
  };
  const ignore = () => {
    for (const name of names) process.off(name, abort);
  };
  for (const name of names) process.on(name, abort);
  return { signal: controller.signal, ignore };
}
