/** Imports ONNX networks of one image input. */

import { tmpdir } from 'node:os';
import { basename, dirname } from 'node:path';
import type { Graph } from '../../shared/graph/index.js';
import {
  elementAt,
  foldChannelAffine,
  moveVaryingLast,
  producers,
  removeIdentities,
  takeBatchOne,
  tensorAt,
} from '../../shared/graph/index.js';
import { parseOnnxModel, upgradeOpset } from '../../shared/onnx/index.js';
import type { ClassifierFacts } from '../decode/choose-decoder.js';
import { chooseDecoder } from '../decode/choose-decoder.js';
import { findInput } from './image-input.js';
import type { ImportedNetwork, ImportOptions } from './import-model.js';
import { storeNetwork } from './import-model.js';
import { originOf } from './imported-file.js';
import type { InputSpec, Manifest } from './manifest.js';
import type { ModelHints } from './model-hints.js';
import { readHints } from './model-hints.js';
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
  const { input, image, batch, fixed, notes } = findInput(used, hints, options.input ?? {});
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
    labels: hints.labels ?? [],
    source: { kind: 'onnx', files: [basename(file)], origin: originOf(file, bytes) },
    decoderOf: (special) => {
      checkBatch(special, used, batch);
      const labels = options.labels ?? hints.labels ?? [];
      return chooseDecoder(factsOf(special, { input, labels, hints }), options.decoder);
    },
  };
  const manifest = await storeNetwork(imported, options);
  for (const note of [...notes, ...describeLabels(options, hints)]) options.onNote?.(note);
  return manifest;
}

const SHOWN_LABELS = 3;

function describeLabels({ labels }: ImportOptions, hints: ModelHints): readonly string[] {
  if (labels !== undefined || hints.labels === undefined) return [];
  const shown = hints.labels.slice(0, SHOWN_LABELS).join(', ');
  const more = hints.labels.length > SHOWN_LABELS ? ', ...' : '';
  return [`${hints.labels.length} labels from "${hints.labelsKey}": ${shown}${more}`];
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
  const { task } = hints;
  return {
    outputs: graph.outputs.map((index) => {
      const { name, shape, dtype } = tensorAt(graph, index);
      return { name, shape: shape ?? [], dtype };
    }),
    width: input.width,
    height: input.height,
    ...(task === undefined ? {} : { task }),
    ...(labels.length === 0 ? {} : { labels: labels.length }),
    // YOLOv5 writes names and stride; later networks of ultralytics write a task, too.
    isYolov5: hints.labelsKey === 'names' && hints.stride !== undefined && task === undefined,
    isActivated: (name) =>
      isActivated(
        graph,
        graph.tensors.findIndex((tensor) => tensor.name === name),
      ),
  };
}

interface Known {
  readonly input: InputSpec;
  readonly labels: readonly string[];
  readonly hints: ModelHints;
}

/** Operators that change no value, or only how it is held. */
const SHAPE_ONLY = new Set([
  ...['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Cast', 'Transpose'],
  ...['QuantizeLinear', 'DequantizeLinear'],
]);

/** Whether an output, or a part of it that is concatenated, is the result of Softmax or Sigmoid. */
function isActivated(graph: Graph, output: number): boolean {
  const positions = producers(graph);
  // A tensor that several parts share is looked at once.
  const seen = new Set<number>();
  const isProbability = (tensor: number): boolean => {
    // Inputs and constants have no producer.
    const node = graph.nodes[elementAt(positions, tensor)];
    if (node === undefined || seen.has(tensor)) return false;
    seen.add(tensor);
    if (node.op === 'Concat') return node.inputs.some(isProbability);
    if (SHAPE_ONLY.has(node.op)) return isProbability(elementAt(node.inputs, 0));
    return node.op === 'Softmax' || node.op === 'Sigmoid';
  };
  return isProbability(output);
}
