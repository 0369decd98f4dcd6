/** Opens a stored model as a network that is ready to plan: a graph of fixed shapes, and its weights in a file. */
import type { Graph } from '../../shared/graph/index.js';
import { canMapWeights } from '../engine/blocked/model-optimizer.js';
import type { InputSpec, Manifest } from '../models/manifest.js';
import type { ModelStore } from '../models/model-store.js';
import type { AskExecutor } from '../models/specialize.js';
import { specializeGraph } from '../models/specialize.js';
import { watchFiles } from '../models/watch-files.js';

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
  const graph = await specializeGraph(stored, { folder, input, fixed: manifest.fixedInputs ?? [], executor });
  const mapsWeights = await canMapWeights(folder);
  return { name, folder, manifest, input, graph, mapsWeights, checkFiles: watchFiles(name, folder) };
}
