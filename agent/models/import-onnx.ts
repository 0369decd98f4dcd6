/** Imports ONNX networks of one image input. */

import { tmpdir } from 'node:os';
import { basename, dirname } from 'node:path';
import type { Graph, Tensor } from '../../shared/graph/index.js';
import {
  elementAt,
  foldChannelAffine,
  moveVaryingLast,
  producers,
  removeIdentities,
  tensorAt,
} from '../../shared/graph/index.js';
import { parseOnnx, upgradeOpset } from '../../shared/onnx/index.js';
import type { ImportedNetwork, ImportOptions } from './import-model.js';
import { storeNetwork, TOP_CLASSES } from './import-model.js';
import { originOf } from './imported-file.js';
import type { Decoder, InputSpec, Manifest } from './manifest.js';
import { readExternalData } from './read-external.js';
import { inFile, readInputFile } from './read-input.js';
import { foldConstants } from './specialize.js';

/**
 * Does `model import FILE.onnx`.
 * @throws {SyntaxError | RangeError} naming the part that can't be imported.
 */
export async function importOnnx(file: string, options: ImportOptions): Promise<Manifest> {
  options.onStage?.('reading');
  const bytes = await readInputFile(file);
  const parsed = await inFile(file, () => readExternalData(upgradeOpset(parseOnnx(bytes)), dirname(file)));
  const input = inputOf(parsed, options);
  options.onStage?.('folding constants');
  const cleaned = removeIdentities(dropUnusedInputs(parsed));
  const folded = await foldConstants(cleaned, { folder: tmpdir(), executor: options.executor }).catch(
    (error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new SyntaxError(`Cannot import ${file}: ONNX Runtime can't compute its constants: ${reason}`);
    },
  );
  const imported: ImportedNetwork = {
    graph: moveVaryingLast(foldChannelAffine(folded)),
    input,
    source: { kind: 'onnx', files: [basename(file)], origin: originOf(file, bytes) },
    decoderOf,
  };
  return storeNetwork(imported, options);
}

/** The graph without inputs that no node reads, such as a training flag. */
function dropUnusedInputs(graph: Graph): Graph {
  const read = new Set(graph.nodes.flatMap(({ inputs, captures }) => [...inputs, ...captures]));
  return { ...graph, inputs: graph.inputs.filter((index) => read.has(index)) };
}

/** The single image input: [1, C, H, W], or [1, H, W, C] as TensorFlow exports it. */
function inputOf(graph: Graph, { size }: ImportOptions): InputSpec {
  const images = dropUnusedInputs(graph).inputs.map((index) => tensorAt(graph, index));
  const [image] = images;
  if (image === undefined || images.length !== 1) {
    const names = images.map(describeInput).join(', ');
    throw new RangeError(
      `Cannot import network: it has ${images.length} inputs (${names}), expected one image`,
    );
  }
  const { layout, channels, height, width } = readImageShape(image);
  if (image.dtype !== 'float32' && image.dtype !== 'uint8') {
    throw new RangeError(`Cannot import network: input ${describeInput(image)}, expected float32 or uint8`);
  }
  const rows = size?.height ?? height;
  const cols = size?.width ?? width;
  if (rows < 1 || cols < 1) {
    throw new RangeError(
      `Cannot import network: input ${describeInput(image)} has no fixed size; give --input WIDTHxHEIGHT`,
    );
  }
  return {
    name: image.name,
    width: cols,
    height: rows,
    channels,
    layout,
    dtype: image.dtype,
    resize: 'stretch',
    colorOrder: 'rgb',
    scale: 1 / 255,
    mean: [0, 0, 0],
    std: [1, 1, 1],
  };
}

function describeInput({ name, dtype, shape }: Tensor): string {
  return `"${name}" ${dtype} [${shape?.map((dim) => (dim < 0 ? '?' : dim)).join(', ') ?? 'unknown'}]`;
}

interface ImageShape {
  readonly layout: InputSpec['layout'];
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
}

function readImageShape(image: Tensor): ImageShape {
  const [batch, second, third, fourth, ...more] = image.shape ?? [];
  const isMap = second !== undefined && third !== undefined && fourth !== undefined && more.length === 0;
  // An unknown batch is -1.
  if (!isMap || (batch !== 1 && batch !== -1)) {
    throw new RangeError(`Cannot import network: input ${describeInput(image)}, expected [1, C, H, W]`);
  }
  if (second === 1 || second === 3) return { layout: 'nchw', channels: second, height: third, width: fourth };
  if (fourth === 1 || fourth === 3) return { layout: 'nhwc', channels: fourth, height: second, width: third };
  throw new RangeError(`Cannot import network: input ${describeInput(image)}, expected 1 or 3 channels`);
}

/** The decoder of the outputs. A single output of one row is read as scores of classes, anything else is raw. */
function decoderOf(graph: Graph): Decoder {
  const [index, ...others] = graph.outputs;
  if (index === undefined || others.length > 0) return { kind: 'raw' };
  const { name, shape, dtype } = tensorAt(graph, index);
  const [batch, classes, ...rest] = shape ?? [];
  const isRow = batch === 1 && classes !== undefined && classes > 1 && rest.every((dim) => dim === 1);
  if (!isRow || dtype !== 'float32') return { kind: 'raw' };
  return { kind: 'classes', output: name, topK: TOP_CLASSES, softmax: !isActivated(graph, index) };
}

/** Operators that change no value, or only its type. */
const SHAPE_ONLY = new Set(['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Cast', 'Transpose']);

/** Whether an output is the result of Softmax or Sigmoid, so that its scores are probabilities already. */
function isActivated(graph: Graph, output: number): boolean {
  const positions = producers(graph);
  // Inputs and constants have no producer.
  const producerOf = (tensor: number) => graph.nodes[elementAt(positions, tensor)];
  let node = producerOf(output);
  while (node !== undefined && SHAPE_ONLY.has(node.op)) node = producerOf(elementAt(node.inputs, 0));
  return node?.op === 'Softmax' || node?.op === 'Sigmoid';
}
