/** Runs of a network in executors of their own, for commands that measure or compare them. */
import type { Allocator } from '../../shared/predict/index.js';
import { findAllocator } from '../engine/allocator.js';
import { ExecutorClient } from '../engine/executor-client.js';
import type { ImageSource, RunResult } from '../engine/wire/protocol.js';

export interface Watching {
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** An image, and what it is called while it runs. */
export interface LabelledRun {
  readonly image: ImageSource;
  readonly label: string;
  readonly outputs: 'values' | 'shapes';
}

/** Does work with a new executor, which ends with it. */
export async function withExecutor<T>(
  allocator: Allocator,
  work: (executor: ExecutorClient) => Promise<T>,
): Promise<T> {
  const executor = new ExecutorClient(findAllocator({ wanted: allocator }));
  try {
    await executor.start();
    return await work(executor);
  } finally {
    await executor.stop();
  }
}

/** Runs the program that an executor has loaded. */
export function runImage(
  executor: ExecutorClient,
  { image, label, outputs }: LabelledRun,
  { onProgress, signal }: Watching,
): Promise<RunResult> {
  onProgress?.(label);
  return executor.ask(
    { kind: 'run', image, outputs },
    {
      onProgress: (step, steps) => onProgress?.(`${label}: step ${step} of ${steps}`),
      ...(signal === undefined ? {} : { signal }),
    },
  );
}
