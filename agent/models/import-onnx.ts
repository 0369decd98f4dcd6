/** Imports ONNX networks of one image input. */

import { tmpdir } from 'node:os';
import { basename, dirname } from 'node:path';
import type { Graph } from '../../shared/graph/index.js';
import {
  elementAt,
  foldChannelAffine,
  moveVaryingLast,
  removeIdentities,
  takeBatchOne,
  tensorAt,
} from '../../shared/graph/index.js';
import { parseOnnxModel, upgradeOpset } from '../../shared/onnx/index.js';
import type { PixelRule } from '../decode/box-decoder.js';
import { pixelsOf } from '../decode/box-decoders.js';
import type { ClassifierFacts } from '../decode/choose-decoder.js';
import { chooseDecoder } from '../decode/choose-decoder.js';
import type { KnownLabels } from '../decode/known-labels.js';
import { knownLabels } from '../decode/known-labels.js';
import { describeInput, findInput } from './image-input.js';
import type { ImportedNetwork, ImportOptions } from './import-model.js';
import { storeNetwork } from './import-model.js';
import { originOf } from './imported-file.js';
import type { InputSpec, Manifest } from './manifest.js';
import type { ModelHints } from './model-hints.js';
import { readHints } from './model-hints.js';
import { originsOf } from './output-origin.js';
import { pixelRuleOf, withPixels } from './pixel-rules.js';
import { readExternalData } from './read-external.js';
import { inFile, readInputFile } from './read-input.js';
import { toRuntimeGraph } from './runtime-graph.js';
import { foldConstants, forgetShapes } from './specialize.js';

/**
 * Does `model import FILE.onnx`.
 * @throws {SyntaxError | RangeError} naming the part that can't be imported.
 */
export async function importOnnx(file: string, options: ImportOptions): Promise<Manifest> {
  options.onStage?.('reading');
  const bytes = await readInputFile(file);
  const { graph, metadata } = await inFile(file, () => parseOnnxModel(bytes));
  const parsed = await inFile(file, () => readExternalData(upgradeOpset(graph), dirname(file)));
  const used = dropUnusedInputs(parsed);
  const hints = readHints(metadata);
  const told = options.input ?? {};
  const { input, image, batch, fixed, notes } = findInput(used, hints, told);
  let rule: PixelRule | undefined;
  let known: KnownLabels | undefined;
  options.onStage?.('folding constants');
  const cleaned = removeIdentities(withBatchOne(imageFirst(used, image), batch));
  const folded = await fold(cleaned, options).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SyntaxError(`Cannot import ${file}: ONNX Runtime can't compute its constants: ${reason}`);
  });
  const imported: ImportedNetwork = {
    graph: moveVaryingLast(foldChannelAffine(folded)),
    input,
    fixed,
    source: { kind: 'onnx', files: [basename(file)], origin: originOf(file, bytes) },
    describe: (special) => {
      checkBatch(special, used, batch);
      const labels = options.labels ?? hints.labels ?? [];
      const facts = factsOf(special, { input, labels, hints });
      const decoder = chooseDecoder(facts, options.decoder);
      const family = pixelsOf(decoder.kind, { ...facts, isTold: options.decoder !== undefined });
      rule = pixelRuleOf({ hints, family, graph: folded });
      known = labels.length === 0 ? knownLabels(decoder) : undefined;
      return { decoder, input: withPixels(input, told, rule), labels: hints.labels ?? known?.labels ?? [] };
    },
  };
  const manifest = await storeNetwork(imported, options);
  const described = describeInput(manifest.input, told, rule);
  for (const note of [described, ...notes, ...describeLabels(options, hints, known)]) options.onNote?.(note);
  return manifest;
}

const SHOWN_LABELS = 3;

function describeLabels(
  { labels: told }: ImportOptions,
  hints: ModelHints,
  known: KnownLabels | undefined,
): readonly string[] {
  const labels = hints.labels ?? known?.labels;
  if (told !== undefined || labels === undefined) return [];
  const from =
    hints.labels === undefined
      ? `of ${known?.by} (assumed; --labels FILE names others)`
      : `from "${hints.labelsKey}"`;
  const shown = labels.slice(0, SHOWN_LABELS).join(', ');
  return [`${labels.length} labels ${from}: ${shown}${labels.length > SHOWN_LABELS ? ', ...' : ''}`];
}

/** The graph whose first input is the image. */
function imageFirst(graph: Graph, image: number): Graph {
  return { ...graph, inputs: [image, ...graph.inputs.filter((index) => index !== image)] };
}

function withBatchOne(graph: Graph, batch: number): Graph {
  return batch === 1 ? graph : forgetShapes(takeBatchOne(graph, batch));
}

/** @throws {RangeError} if an output of one image isn't that of a batch, but for its first dimension. */
function checkBatch(special: Graph, file: Graph, batch: number): void {
  if (batch === 1) return;
  for (const [at, index] of special.outputs.entries()) {
    const { name, shape } = tensorAt(special, index);
    const said = tensorAt(file, elementAt(file.outputs, at)).shape;
    const isOne =
      shape?.[0] === 1 && (said?.slice(1).every((dim, axis) => dim < 0 || dim === shape[axis + 1]) ?? true);
    if (isOne) continue;
    throw new RangeError(
      `Cannot import network: it takes ${batch} images at once, and for one its output "${name}" is [${shape?.join(', ')}] ` +
        `where the file says [${said?.join(', ')}]; export it with batch 1`,
    );
  }
}

/** The graph with its constants folded, in the form in which ONNX Runtime computes it. */
async function fold(graph: Graph, { executor }: ImportOptions): Promise<Graph> {
  const place = { folder: tmpdir(), executor };
  const folded = await foldConstants(graph, place);
  const computed = await toRuntimeGraph(folded, executor);
  return computed === folded ? folded : foldConstants(computed, place);
}

/** The graph without inputs that no node reads, such as a training flag. */
function dropUnusedInputs(graph: Graph): Graph {
  const read = new Set(graph.nodes.flatMap(({ inputs, captures }) => [...inputs, ...captures]));
  return { ...graph, inputs: graph.inputs.filter((index) => read.has(index)) };
}

/** What is known of a network for the choice of its decoder. */
function factsOf(graph: Graph, { input, labels, hints }: Known): ClassifierFacts {
  const { task, producer = '' } = hints;
  return {
    outputs: graph.outputs.map((index) => {
      const { name, shape, dtype } = tensorAt(graph, index);
      return { name, shape: shape ?? [], dtype };
    }),
    width: input.width,
    height: input.height,
    channels: input.channels,
    ...(task === undefined ? {} : { task }),
    ...(labels.length === 0 ? {} : { labels: labels.length }),
    // YOLOv5 writes names and stride; later networks of ultralytics write a task, too.
    isYolov5: hints.labelsKey === 'names' && hints.stride !== undefined && task === undefined,
    isPaddle: isPaddle(producer, graph),
    ...originsOf(graph),
  };
}

/** PaddlePaddle's exporter names itself, and other tools that the file went through keep the names of its tensors. */
function isPaddle(producer: string, graph: Graph): boolean {
  const names = graph.outputs.map((index) => tensorAt(graph, index).name);
  return /^paddle/i.test(producer) || names.every((name) => /^(\w+\.tmp_\d+|fetch_name_\d+)$/.test(name));
}

interface Known {
  readonly input: InputSpec;
  readonly labels: readonly string[];
  readonly hints: ModelHints;
}
