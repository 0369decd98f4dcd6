/** Opens ONNX files as graphs, as the planner sees them. */
import { basename, join } from 'node:path';
import { withContext } from '../agent/cli/context.js';
import { importOnnx } from '../agent/models/import-onnx.js';
import { ModelStore } from '../agent/models/model-store.js';
import { openModel } from '../agent/planning/open-model.js';
import type { Graph } from '../shared/graph/index.js';
import { withBenchFolder } from './run-bench.js';

/** Gives the graph of each file to `work`, one after the other. */
export async function withOnnxGraphs(
  files: readonly string[],
  work: (name: string, graph: Graph) => void,
): Promise<void> {
  await withBenchFolder((folder) =>
    withContext('opening networks', async ({ executor, progress, signal }) => {
      const store = new ModelStore(join(folder, 'models'));
      for (const file of files) {
        signal.throwIfAborted();
        const name = basename(file, '.onnx');
        progress.show(name);
        await importOnnx(file, { store, executor, name, force: true });
        work(name, (await openModel(store, name, { executor })).graph);
      }
    }),
  );
}
