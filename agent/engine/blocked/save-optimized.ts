/** Saves a model as ONNX Runtime runs it on this machine, with mapped weights, in little memory. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Graph } from '../../../shared/graph/index.js';
import { compactGraph, GraphBuilder } from '../../../shared/graph/index.js';
import { parseOnnx, writeOnnx } from '../../../shared/onnx/index.js';
import type { Level } from '../../../shared/predict/index.js';
import { runLeavesInOrder } from '../compile/leaf-order.js';
import type { Executor } from '../wire/executor.js';
import { OPTIMIZED_MODEL } from '../wire/protocol.js';
import { BLOCKED_DOMAIN, joinInBlocks } from './blocked-joins.js';
import { restoreShapes, writeWeights } from './restore-weights.js';
import { leaveOutWeights } from './stand-ins.js';

export interface Saving {
  /** ONNX bytes of the model. */
  readonly model: Uint8Array;
  /** Folder of its weights. */
  readonly folder: string;
  readonly level: Level;
  /** Folder within that one that gets the model and its weights. */
  readonly into: string;
  readonly executor: Executor;
  readonly signal?: AbortSignal | undefined;
}

const STAND_INS = 'stand-ins.data';

/**
 * Saves a model. If ONNX Runtime computes new weights, as it does where a scale is multiplied into a convolution, the
 * model is saved with its own weights, which takes two to three times their memory.
 */
export async function saveOptimized(saving: Saving): Promise<void> {
  const block = await blockOfChannels(saving);
  if (!(await saveWithStandIns(saving, block))) await saveWithWeights(saving, block);
}

/** @returns false if ONNX Runtime changed weights. */
async function saveWithStandIns(saving: Saving, block: number): Promise<boolean> {
  const { model, folder, into, signal } = saving;
  const standIns = join(into, STAND_INS);
  const left = leaveOutWeights(parseOnnx(model), { block, location: relative(folder, standIns) });
  if (left.filters.size + left.operands.size === 0) return false;
  await writeFile(standIns, left.content);
  const saved = await optimize(saving, writeOnnx(left.graph, { symbolicSpace: true }));
  await rm(standIns);
  const restored = await restoreShapes(saved, left, into);
  if (restored === undefined) return false;
  const { graph, sources } = restored;
  await writeModel(await writeWeights(rewrite(graph, block), { sources, folder, into, block, signal }), into);
  return true;
}

async function saveWithWeights(saving: Saving, block: number): Promise<void> {
  await writeModel(rewrite(await optimize(saving, saving.model), block), saving.into);
}

/** Lets ONNX Runtime save a model. */
async function optimize(
  { executor, folder, level, into, signal }: Saving,
  model: Uint8Array,
): Promise<Graph> {
  await executor.ask(
    { kind: 'optimize', model, folder, level, into },
    signal === undefined ? {} : { signal },
  );
  return parseOnnx(await readFile(join(into, OPTIMIZED_MODEL)));
}

/** Makes streams join their rows in blocked order, and nodes keep the order in which they run. */
function rewrite(saved: Graph, block: number): Graph {
  const isBlocked = saved.nodes.some(({ domain }) => domain === BLOCKED_DOMAIN);
  return compactGraph(runLeavesInOrder(isBlocked ? joinInBlocks(saved, block) : saved));
}

async function writeModel(graph: Graph, into: string): Promise<void> {
  await writeFile(join(into, OPTIMIZED_MODEL), writeOnnx(graph, { symbolicSpace: true }));
}

/** Channels in a block of this machine's blocked order: the place where the first channel's second pixel ends up. */
async function blockOfChannels({ executor, into, signal }: Saving): Promise<number> {
  const shape = [1, 64, 1, 2];
  const builder = new GraphBuilder();
  const numbers = Float32Array.from({ length: 128 }, (_, at) => at);
  const map = builder.addConstant('map', numbers, shape);
  const blocked = builder.addNode(0, { op: 'ReorderInput', inputs: [map] }, { dtype: 'float32', shape });
  const graph = builder.build('reorder', [blocked]);
  const nodes = graph.nodes.map((node) => ({ ...node, domain: BLOCKED_DOMAIN }));
  const model = writeOnnx({ ...graph, nodes, opsets: { ...graph.opsets, [BLOCKED_DOMAIN]: 1 } });
  const asking = signal === undefined ? {} : { signal };
  const [output] = await executor.ask({ kind: 'evaluate', model, folder: into }, asking);
  if (output?.bytes === undefined)
    throw new RangeError('Cannot measure blocks: the reordered map has no values');
  return new Float32Array(Uint8Array.from(output.bytes).buffer).indexOf(1);
}
