/** Networks that are imported from a file and run by a plan in this process, and stock ONNX Runtime on the same file. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Session } from '../agent/engine/child/onnx-runtime.js';
import { ProgramRunner, packOutput } from '../agent/engine/child/program-runner.js';
import { compilePlan } from '../agent/engine/compile/compile.js';
import type { ExecutorClient } from '../agent/engine/executor-client.js';
import type { OutputTensor } from '../agent/engine/wire/protocol.js';
import { importOnnx } from '../agent/models/import-onnx.js';
import { ModelStore } from '../agent/models/model-store.js';
import type { Network } from '../agent/planning/open-model.js';
import { openModel } from '../agent/planning/open-model.js';
import { mulberry32 } from '../shared/darknet/index.js';
import type { Graph } from '../shared/graph/index.js';
import { writeOnnx } from '../shared/onnx/index.js';
import type { Level } from '../shared/predict/index.js';
import type { Plan } from '../shared/search/index.js';

/** A network as a user has it, and as it is planned. */
export interface StoredNetwork {
  /** ONNX bytes of the file. */
  readonly file: Uint8Array;
  readonly network: Network;
}

/** Imports a graph by way of a file. */
export async function storeGraph(
  graph: Graph,
  { folder, executor }: { readonly folder: string; readonly executor: ExecutorClient },
): Promise<StoredNetwork> {
  const file = writeOnnx(graph);
  const path = join(folder, 'network.onnx');
  writeFileSync(path, file);
  const store = new ModelStore(join(folder, 'models'));
  const ask = () => Promise.resolve(executor);
  await importOnnx(path, { store, executor: ask, name: 'network', force: true });
  return { file, network: await openModel(store, 'network', { executor: ask }) };
}

function noiseBytes({ network: { input } }: StoredNetwork): Uint8Array {
  const random = mulberry32(7);
  const count = input.width * input.height * input.channels;
  return Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
}

/** Outputs of a plan on noise. */
export async function runPlan(stored: StoredNetwork, plan: Plan): Promise<readonly OutputTensor[]> {
  const { graph, folder, input } = stored.network;
  const program = compilePlan(graph, plan, { folder, input });
  const runner = await ProgramRunner.load(program, { onStep: () => undefined });
  try {
    const { width, height } = input;
    return (await runner.run({ data: noiseBytes(stored), width, height })).map(packOutput);
  } finally {
    await runner.unload();
  }
}

export interface StockSettings {
  readonly level: Level;
  readonly threads: number;
}

/** Outputs of stock ONNX Runtime on the file, on the same noise. */
export async function runStock(
  stored: StoredNetwork,
  settings: StockSettings,
): Promise<readonly OutputTensor[]> {
  const { input } = stored.network;
  const session = await Session.create(stored.file, { ...settings, folder: '.' });
  try {
    const bytes = noiseBytes(stored);
    const pixels = input.width * input.height;
    // The image is interleaved, and the input is in planes.
    const data = Float32Array.from({ length: bytes.length }, (_, at) =>
      Math.fround((bytes[(at % pixels) * input.channels + Math.floor(at / pixels)] ?? 0) * input.scale),
    );
    const shape = [1, input.channels, input.height, input.width];
    const results = await session.run({ [input.name]: { dtype: 'float32', shape, data } });
    return session.outputs.map(({ name }) => {
      const tensor = results[name];
      assert.ok(tensor !== undefined);
      return packOutput({ name, tensor });
    });
  } finally {
    await session.release();
  }
}
