/**
 * Rewrites a model that ONNX Runtime saved in blocked order: streams then join their rows in that order, and nodes keep
 * the order in which they run.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { compactGraph, GraphBuilder } from '../../../shared/graph/index.js';
import { parseOnnx, writeOnnx } from '../../../shared/onnx/index.js';
import { runLeavesInOrder } from '../compile/leaf-order.js';
import type { OutputTensor } from '../wire/protocol.js';
import { BLOCKED_DOMAIN, joinInBlocks } from './blocked-joins.js';

/** Runs a model without inputs. */
type Evaluate = (model: Uint8Array) => Promise<readonly OutputTensor[]>;

/** @param evaluate runs on the machine that the model was saved for. */
export async function rewriteSaved(path: string, evaluate: Evaluate): Promise<void> {
  const saved = parseOnnx(await readFile(path));
  const isBlocked = saved.nodes.some(({ domain }) => domain === BLOCKED_DOMAIN);
  const joined = isBlocked ? joinInBlocks(saved, await blockOfChannels(evaluate)) : saved;
  const ordered = compactGraph(runLeavesInOrder(joined));
  await writeFile(path, writeOnnx(ordered, { symbolicSpace: true }));
}

/** Channels in a block of this machine's blocked order: the place where the first channel's second pixel ends up. */
async function blockOfChannels(evaluate: Evaluate): Promise<number> {
  const shape = [1, 64, 1, 2];
  const builder = new GraphBuilder();
  const numbers = Float32Array.from({ length: 128 }, (_, at) => at);
  const map = builder.addConstant('map', numbers, shape);
  const blocked = builder.addNode(0, { op: 'ReorderInput', inputs: [map] }, { dtype: 'float32', shape });
  const graph = builder.build('reorder', [blocked]);
  const nodes = graph.nodes.map((node) => ({ ...node, domain: BLOCKED_DOMAIN }));
  const model = writeOnnx({ ...graph, nodes, opsets: { ...graph.opsets, [BLOCKED_DOMAIN]: 1 } });
  const [output] = await evaluate(model);
  if (output?.bytes === undefined)
    throw new RangeError('Cannot measure blocks: the reordered map has no values');
  return new Float32Array(Uint8Array.from(output.bytes).buffer).indexOf(1);
}
