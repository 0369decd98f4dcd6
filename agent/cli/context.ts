/** What commands share: the model store, an executor that is started only if something asks for it, and an end. */
import { ExecutorClient } from '../engine/executor-client.js';
import { defaultModelsFolder, ModelStore } from '../models/model-store.js';
import type { AskExecutor } from '../models/specialize.js';
import type { Progress } from './progress.js';
import { startProgress } from './progress.js';

export interface CommandContext {
  readonly store: ModelStore;
  readonly executor: AskExecutor;
  /** Ends that executor, so that it isn't in memory beside a measured one. */
  readonly releaseExecutor: () => Promise<void>;
  readonly progress: Progress;
  /** Aborted by SIGINT and SIGTERM. */
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
    if (executor === undefined) {
      executor = new ExecutorClient();
      await executor.start();
    }
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

/** Conventional exit codes: 128 + the number of the signal. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** The first signal asks the work to end and lets it clean up; a second one ends the process as usual. */
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
