/** The part that all imports share: it checks a graph with its weights, and stores it as a model. */

import type { Graph } from '../../shared/graph/index.js';
import { externalizeConstants, tensorAt } from '../../shared/graph/index.js';
import { writeOnnx } from '../../shared/onnx/index.js';
import type { Decoder } from '../decode/decoder-schema.js';
import type { InputOptions } from './image-input.js';
import type { FixedInput, InputSpec, Manifest } from './manifest.js';
import type { FinishedModel, ModelStore } from './model-store.js';
import { DATA_FILE } from './model-store.js';
import type { AskExecutor } from './specialize.js';
import { forgetShapes, specializeGraph } from './specialize.js';

export interface ImportOptions {
  readonly store: ModelStore;
  readonly executor: AskExecutor;
  readonly name: string;
  readonly force: boolean;
  readonly labels?: readonly string[];
  /** Kind of decoder, if it isn't to be found out. */
  readonly decoder?: string;
  /** What is said of the input. */
  readonly input?: InputOptions;
  /** Called with what an import took for what. */
  readonly onNote?: (text: string) => void;
  readonly onStage?: (stage: string) => void;
}

export interface ImportedNetwork {
  /** Graph with its constants inline and BatchNormalization folded. */
  readonly graph: Graph;
  readonly input: InputSpec;
  readonly fixed?: readonly FixedInput[];
  readonly source: Manifest['source'];
  /** Chooses the decoder from a graph whose output shapes are known, and the input's pixels and the labels by it. */
  readonly describe: (graph: Graph) => NetworkUse;
}

export interface NetworkUse {
  readonly decoder: Decoder;
  readonly input: InputSpec;
  /** Labels that aren't the user's. */
  readonly labels?: readonly string[];
}

/**
 * Stores a network. ONNX Runtime infers all its shapes first, which also shows that the network can be
 * loaded.
 *
 * @throws {RangeError | SyntaxError} if it can't be loaded. Nothing is stored then.
 */
export async function storeNetwork(network: ImportedNetwork, options: ImportOptions): Promise<Manifest> {
  const { graph, chunks } = externalizeConstants(network.graph, DATA_FILE);
  const finish = async (folder: string): Promise<FinishedModel> => {
    options.onStage?.('checking with ONNX Runtime');
    const special = await specializeGraph(forgetShapes(graph), {
      folder,
      input: network.input,
      fixed: network.fixed ?? [],
      executor: options.executor,
    });
    checkOutputs(special);
    const { decoder, input, labels: found = [] } = network.describe(special);
    const labels = options.labels ?? found;
    checkLabels(decoder, labels);
    options.onStage?.('writing');
    const { source, fixed = [] } = network;
    return {
      modelBytes: writeOnnx(recordShapes(graph, special), { recordShapes: true }),
      manifest: { source, input, ...(fixed.length === 0 ? {} : { fixedInputs: fixed }), decoder, labels },
    };
  };
  options.onStage?.('writing weights');
  return options.store.save(options.name, { data: chunks, finish }, options);
}

/** @throws {RangeError} naming an output that doesn't depend on the image. */
function checkOutputs(graph: Graph): void {
  const fixed = graph.outputs
    .map((index) => tensorAt(graph, index))
    .find(({ constant }) => constant !== null);
  if (fixed !== undefined) {
    throw new RangeError(`Cannot import network: output "${fixed.name}" doesn't depend on the image`);
  }
}

/** The stored graph with the known type and shape of each tensor. It can still take another input size. */
function recordShapes(graph: Graph, special: Graph): Graph {
  const known = new Map(special.tensors.map((tensor) => [tensor.name, tensor]));
  const tensors = graph.tensors.map((tensor) => {
    const shaped = known.get(tensor.name);
    if (tensor.constant !== null || shaped === undefined) return tensor;
    return { ...tensor, dtype: shaped.dtype, shape: shaped.shape };
  });
  return { ...graph, tensors };
}

/** @throws {RangeError} if there are labels, but not one for each class. */
function checkLabels(decoder: Decoder, labels: readonly string[]): void {
  const classes = classCount(decoder);
  if (labels.length === 0 || classes === undefined || labels.length === classes) return;
  throw new RangeError(
    `Cannot use labels: there are ${labels.length}, expected ${classes}, one for each class`,
  );
}

/** Number of classes that a decoder tells apart, where it says so. */
function classCount(decoder: Decoder): number | undefined {
  if (decoder.kind === 'darknet') return Math.max(...decoder.heads.map((head) => head.classes));
  return 'classes' in decoder ? decoder.classes : undefined;
}

/** Labels from the lines of a file, in order of class. Empty lines at its end don't count. */
export function parseLabels(text: string): readonly string[] {
  return text
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.trim());
}
