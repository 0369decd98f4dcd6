/** Plans networks that ONNX Runtime computes otherwise than their file says as it computes them (shared/graph). */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Graph } from '../../shared/graph/index.js';
import { adoptRuntimeGraph, isComputedOtherwise } from '../../shared/graph/index.js';
import { parseOnnx, writeOnnx } from '../../shared/onnx/index.js';
import { OPTIMIZED_MODEL } from '../engine/wire/protocol.js';
import { readExternalData } from './read-external.js';
import type { AskExecutor } from './specialize.js';

/**
 * Returns the graph as ONNX Runtime computes it, or the same graph if that makes no difference.
 * @param graph with its constants inline.
 */
export async function toRuntimeGraph(graph: Graph, executor: AskExecutor): Promise<Graph> {
  if (!isComputedOtherwise(graph)) return graph;
  const runtime = await executor();
  const folder = await mkdtemp(join(tmpdir(), 'mafat-import-'));
  try {
    await runtime.ask({
      kind: 'optimize',
      model: writeOnnx(graph, { untypedOutputs: true }),
      folder,
      level: 'extended',
      into: folder,
      forCutting: true,
    });
    const saved = parseOnnx(await readFile(join(folder, OPTIMIZED_MODEL)));
    return adoptRuntimeGraph(graph, await readExternalData(saved, folder));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
