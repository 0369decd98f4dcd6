/** Opens a stored model as a network that is ready to plan: a graph of fixed shapes, and its weights in a file. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Graph } from '../../shared/graph/index.js';
import { canMapWeights } from '../engine/blocked/model-optimizer.js';
import type { InputSpec, Manifest } from '../models/manifest.js';
import type { ModelStore } from '../models/model-store.js';
import { DATA_FILE } from '../models/model-store.js';
import type { AskExecutor } from '../models/specialize.js';
import { specializeGraph } from '../models/specialize.js';

export interface Network {
  readonly name: string;
  readonly folder: string;
  readonly manifest: Manifest;
  /** The manifest's input, at the size of this run. */
  readonly input: InputSpec;
  readonly graph: Graph;
  /** The weights can be mapped at every level. */
  readonly mapsWeights: boolean;
  /** @throws {ModelChangedError} if the stored model was replaced or removed since it was opened. */
  readonly checkFiles: () => void;
}

export interface OpenOptions {
  readonly executor: AskExecutor;
  readonly size?: { readonly width: number; readonly height: number };
}

/** @throws {RangeError | SyntaxError} if there is no such model, or it can't take the input size. */
export async function openModel(
  store: ModelStore,
  name: string,
  { executor, size }: OpenOptions,
): Promise<Network> {
  const { folder, manifest, graph: stored } = await store.load(name);
  const input = { ...manifest.input, ...size };
  const graph = await specializeGraph(stored, { folder, input, executor });
  const mapsWeights = await canMapWeights(folder);
  return { name, folder, manifest, input, graph, mapsWeights, checkFiles: watchFiles(name, folder) };
}

/** The stored model was replaced or removed since it was opened. It may be opened anew. */
export class ModelChangedError extends Error {
  override readonly name = 'ModelChangedError';
  readonly code = 'MODEL_CHANGED';
}

/** The graph is in memory and its weights are mapped from a file; both must be of the same import. */
function watchFiles(name: string, folder: string): () => void {
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
