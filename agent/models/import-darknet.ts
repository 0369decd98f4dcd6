/** Imports Darknet networks, and makes known ones with random weights. */

import { basename } from 'node:path';
import type { DarknetNetwork, DarknetSection, WeightSource } from '../../shared/darknet/index.js';
import {
  buildDarknet,
  DarknetWeightsFile,
  parseDarknetConfig,
  SyntheticWeights,
} from '../../shared/darknet/index.js';
import { elementAt, knownShape, tensorAt } from '../../shared/graph/index.js';
import { TOP_CLASSES } from '../decode/choose-decoder.js';
import type { Decoder } from '../decode/decoder-schema.js';
import type { ImportedNetwork, ImportOptions } from './import-model.js';
import { storeNetwork } from './import-model.js';
import type { InputSpec, Manifest } from './manifest.js';
import { inFile, readInputFile } from './read-input.js';

/** Default confidence below which boxes aren't reported. */
const THRESHOLD = 0.4;

/** Default overlap, as intersection over union, above which boxes of one class are one object. */
const NMS_IOU = 0.45;

/** Does `model import FILE.cfg FILE.weights`. @throws {SyntaxError} naming file, line, layer or key. */
export async function importDarknet(
  files: { readonly config: string; readonly weights: string },
  options: ImportOptions,
): Promise<Manifest> {
  const text = (await readInputFile(files.config)).toString('utf8');
  const source = { kind: 'darknet' as const, files: [basename(files.config), basename(files.weights)] };
  const bytes = await readInputFile(files.weights);
  const weights = await inFile(files.weights, () => new DarknetWeightsFile(bytes));
  const sections = await inFile(files.config, () => parseDarknetConfig(text));
  return inFile(`${files.config}, ${files.weights}`, () =>
    storeDarknet({ sections, weights, source }, options),
  );
}

export interface SynthOptions {
  readonly seed: number;
  /** First and last layer, both included. By default all layers. */
  readonly layers?: { readonly from: number; readonly to: number };
}

/**
 * Does `model synth`: stores a Darknet definition with random weights.
 * @throws {RangeError} if it hasn't such layers.
 */
export async function synthesizeDarknet(
  config: { readonly name: string; readonly text: string },
  { seed, layers }: SynthOptions,
  options: ImportOptions,
): Promise<Manifest> {
  const [net, ...all] = parseDarknetConfig(config.text);
  const chosen = all.filter(
    ({ layer }) => layers === undefined || (layer >= layers.from && layer <= layers.to),
  );
  if (layers !== undefined && (layers.from !== 0 || layers.to >= all.length || chosen.length === 0)) {
    throw new RangeError(
      `Cannot synthesize layers ${layers.from}-${layers.to} of ${config.name}: expected 0-N with N up to ${all.length - 1}`,
    );
  }
  const sections = net === undefined ? chosen : [net, ...chosen];
  const source = { kind: 'synthetic' as const, files: [config.name] };
  return storeDarknet({ sections, weights: new SyntheticWeights(seed), source }, options);
}

interface DarknetSource {
  readonly sections: readonly DarknetSection[];
  readonly weights: WeightSource;
  readonly source: Manifest['source'];
}

async function storeDarknet(
  { sections, weights, source }: DarknetSource,
  options: ImportOptions,
): Promise<Manifest> {
  options.onStage?.('building the graph');
  const { name, input: { size } = {} } = options;
  const network = buildDarknet(sections, { name, weights, ...(size === undefined ? {} : { size }) });
  const imported: ImportedNetwork = {
    graph: network.graph,
    input: inputOf(network),
    source,
    describe: () => ({ decoder: decoderOf(network), input: inputOf(network) }),
  };
  return storeNetwork(imported, options);
}

function inputOf({ graph, letterbox }: DarknetNetwork): InputSpec {
  const image = tensorAt(graph, elementAt(graph.inputs, 0));
  const shape = knownShape(image);
  const channels = elementAt(shape, 1);
  if (channels !== 1 && channels !== 3) {
    throw new RangeError(`Cannot import network: [net] channels=${channels}, expected 1 or 3`);
  }
  return {
    name: image.name,
    width: elementAt(shape, 3),
    height: elementAt(shape, 2),
    channels,
    layout: 'nchw',
    dtype: 'float32',
    colorOrder: 'rgb',
    resize: letterbox ? 'letterbox' : 'stretch',
    scale: 1 / 255,
    mean: [0, 0, 0],
    std: [1, 1, 1],
  };
}

function decoderOf({ graph, heads, classifies }: DarknetNetwork): Decoder {
  if (heads.length > 0) {
    const copied = heads.map((head) => ({ ...head, anchors: head.anchors.map((anchor) => ({ ...anchor })) }));
    return { kind: 'darknet', threshold: THRESHOLD, nmsIou: NMS_IOU, heads: copied };
  }
  const output = tensorAt(graph, elementAt(graph.outputs, 0)).name;
  return classifies ? { kind: 'classes', output, topK: TOP_CLASSES, softmax: false } : { kind: 'raw' };
}
