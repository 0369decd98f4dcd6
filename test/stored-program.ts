/** Programs whose weights lie in a folder, as those of stored models do, and what they give when run. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ProgramRunner, packOutput } from '../agent/engine/child/program-runner.js';
import { compilePlan } from '../agent/engine/compile/compile.js';
import type { OutputTensor, Program, SessionProgram } from '../agent/engine/wire/protocol.js';
import { mulberry32 } from '../shared/darknet/index.js';
import type { Graph } from '../shared/graph/index.js';
import { externalizeConstants, foldChannelAffine, foldPads } from '../shared/graph/index.js';
import type { PredictSettings } from '../shared/predict/index.js';
import { buildPlan, parsePlan } from '../shared/search/index.js';
import { temporaryFolder } from './fixtures.js';
import { graphOf } from './notation.js';
import { imageInputOf } from './run-in-process.js';

const WEIGHTS = 'model.onnx.data';

export interface StoredGraph {
  readonly graph: Graph;
  /** Of the weights. */
  readonly folder: string;
}

export interface StoreOptions {
  /** Of the weights' noise. */
  readonly seed?: number;
  readonly folder?: string;
}

/** A network in one line, with all weights of 4 KiB or more in a file. */
export function storeGraph(
  context: TestContext,
  notation: string,
  { seed = 1, folder = temporaryFolder(context) }: StoreOptions = {},
): StoredGraph {
  return storeWeights(foldPads(foldChannelAffine(graphOf(notation, seed))), folder);
}

/** Puts all weights of 4 KiB or more of a graph in a file. */
export function storeWeights(ready: Graph, folder: string): StoredGraph {
  const { graph, chunks } = externalizeConstants(ready, WEIGHTS);
  const data = new Uint8Array(Math.max(0, ...chunks.map(({ offset, bytes }) => offset + bytes.byteLength)));
  for (const { offset, bytes } of chunks) data.set(bytes, offset);
  writeFileSync(join(folder, WEIGHTS), data);
  return { graph, folder };
}

/** A program for it, at `all` and on one thread unless told otherwise. */
export function programOf(
  { graph, folder }: StoredGraph,
  plan: string,
  { level = 'all', threads = 1 }: Partial<PredictSettings> = {},
): Program {
  const planned = buildPlan(graph, parsePlan(plan), { level, threads });
  return compilePlan(graph, planned, { folder, input: imageInputOf(graph) });
}

export function sessionsOfProgram({ segments }: Program): readonly SessionProgram[] {
  return segments.flatMap(({ sessions }) => sessions);
}

export interface RunWatch {
  /** Called between load and run. */
  readonly onLoaded?: () => void;
}

/** Outputs for an image of noise, by ONNX Runtime in this process. */
export async function runProgram(
  program: Program,
  { onLoaded }: RunWatch = {},
): Promise<readonly OutputTensor[]> {
  const runner = await ProgramRunner.load(program, { onStep: () => undefined });
  try {
    onLoaded?.();
    const { width, height, channels } = program.input;
    const random = mulberry32(7);
    const data = Uint8Array.from({ length: width * height * channels }, () => Math.floor(random() * 256));
    const outputs = await runner.run({ data, width, height });
    return outputs.map(packOutput);
  } finally {
    await runner.unload();
  }
}
