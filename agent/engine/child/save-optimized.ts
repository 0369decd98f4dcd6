/**
 * Saves a model as ONNX Runtime optimises it for this machine. The child loads this file only when it is asked to:
 * protobuf and the passes over graphs take megabytes that an executor which serves never needs.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compactGraph, GraphBuilder } from '../../../shared/graph/index.js';
import { parseOnnx, writeOnnx } from '../../../shared/onnx/index.js';
import { BLOCKED_DOMAIN, joinInBlocks } from '../blocked/blocked-joins.js';
import { OPTIMIZED_MODEL } from '../blocked/optimizer-settings.js';
import { runLeavesInOrder } from '../compile/leaf-order.js';
import type { OptimizeRequest } from '../wire/protocol.js';
import { Session, saveSession } from './onnx-runtime.js';

/** Writes model and weights to the folder `into`, not yet flushed. @throws {Error} with ONNX Runtime's reason. */
export async function saveOptimized(request: OptimizeRequest): Promise<void> {
  await saveSession(request);
  await rewriteSaved(join(request.into, OPTIMIZED_MODEL));
}

/** Streams then join their rows in blocked order, and nodes keep the order in which they ran here. */
async function rewriteSaved(path: string): Promise<void> {
  const saved = parseOnnx(await readFile(path));
  const isBlocked = saved.nodes.some(({ domain }) => domain === BLOCKED_DOMAIN);
  const joined = isBlocked ? joinInBlocks(saved, await blockOfChannels()) : saved;
  const ordered = compactGraph(runLeavesInOrder(joined));
  await writeFile(path, writeOnnx(ordered, { symbolicSpace: true }));
}

/** Channels in a block of this machine's blocked order: the place where the first channel's second pixel ends up. */
async function blockOfChannels(): Promise<number> {
  const shape = [1, 64, 1, 2] as const;
  const options = { folder: '.', level: 'disabled', threads: 1 } as const;
  const session = await Session.create(writeReorderModel(shape), options);
  const data = Float32Array.from({ length: 128 }, (_, at) => at);
  const reordered = Object.values(await session.run({ x: { dtype: 'float32', shape, data } }));
  await session.release();
  return reordered.flatMap((tensor) => [...(tensor.data as Float32Array)]).indexOf(1);
}

/** A model that puts a map into the blocked order of this machine. */
function writeReorderModel(shape: readonly number[]): Uint8Array {
  const builder = new GraphBuilder();
  const x = builder.addInput('x', shape);
  const y = builder.addNode(0, { op: 'ReorderInput', inputs: [x] }, { dtype: 'float32', shape });
  const graph = builder.build('reorder', [y]);
  const nodes = graph.nodes.map((node) => ({ ...node, domain: BLOCKED_DOMAIN }));
  return writeOnnx({ ...graph, nodes, opsets: { ...graph.opsets, [BLOCKED_DOMAIN]: 1 } });
}
