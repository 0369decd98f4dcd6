/** What commands share: the model store, and an executor that is started only if something asks for it. */
import { Executor } from '../engine/executor-client.js';
import { defaultModelsFolder, ModelStore } from '../models/model-store.js';
import type { AskExecutor } from '../models/specialize.js';
import type { Progress } from './progress.js';
import { startProgress } from './progress.js';

export interface CommandContext {
  readonly store: ModelStore;
  readonly executor: AskExecutor;
  readonly progress: Progress;
}

/** Runs a command's work and cleans up after it, whatever happens. */
export async function withContext<T>(
  title: string,
  work: (context: CommandContext) => Promise<T>,
): Promise<T> {
  let executor: Executor | undefined;
  const progress = startProgress(title);
  const askExecutor = async () => {
    if (executor === undefined) {
      executor = new Executor();
      await executor.start();
    }
    return executor;
  };
  try {
    return await work({ store: new ModelStore(defaultModelsFolder()), executor: askExecutor, progress });
  } finally {
    progress.stop();
    await executor?.stop();
  }
}
