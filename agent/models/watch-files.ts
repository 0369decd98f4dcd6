/** Notices that a stored model was replaced or removed. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DATA_FILE } from './model-store.js';

/** The stored model was replaced or removed since it was opened. It may be opened anew. */
export class ModelChangedError extends Error {
  override readonly name = 'ModelChangedError';
  readonly code = 'MODEL_CHANGED';
}

/** The graph is in memory and its weights are mapped from a file; both must be of the same import. */
export function watchFiles(name: string, folder: string): () => void {
  const stamp = () => {
    const { ino, size, mtimeMs } = statSync(join(folder, DATA_FILE), { throwIfNoEntry: false }) ?? {};
    return [ino, size, mtimeMs].join();
  };
  const opened = stamp();
  return () => {
    if (stamp() === opened) return;
    throw new ModelChangedError(`Cannot load model "${name}": ${folder} was changed since it was opened`);
  };
}
