/**
 * Networks of the benches. Their weights are synthetic, since memory and time depend on the architecture and not on
 * the weights' values.
 */

import { DEFINITIONS } from '../agent/models/definitions.js';
import { synthesizeDarknet } from '../agent/models/import-darknet.js';
import type { ImportOptions } from '../agent/models/import-model.js';
import { storeNetwork } from '../agent/models/import-model.js';
import { rgbInputOf } from '../agent/models/rgb-input.js';
import type { Graph } from '../shared/graph/index.js';
import { valueFor } from '../shared/graph/index.js';
import { mobileNetV2, resNet18 } from './networks-graphs.js';
import { YOLO_FASTEST } from './networks-yolo-fastest.js';

/** Seed of all weights, the same for OpenCV's files. */
export const SEED = 1;

export interface DarknetNetworkSpec {
  readonly text: string;
  /** First and last layer, both included; absent for all layers. */
  readonly layers?: { readonly from: number; readonly to: number };
  readonly size: number;
}

export interface BenchNetwork {
  readonly name: string;
  /** Notations of plans by hand, which run in addition to the plans of the searches. */
  readonly plans: readonly string[];
  /** Stores the network as a model. */
  readonly save: (options: ImportOptions) => Promise<unknown>;
  /** Network as Darknet text, which OpenCV can read; absent if it isn't a Darknet network. */
  readonly darknet?: DarknetNetworkSpec;
}

const MOBILE_PLANS = ['stream4 | 11 | whole', 'stream4 | 22 | whole'];

export const NETWORKS: readonly BenchNetwork[] = [
  darknet('yolov2-0-15-608', { ...yolo('yolov2', 608), layers: { from: 0, to: 15 } }, [
    'stream4',
    'stream8',
    'stream4 > 8 > stream4',
    'stream4 > 4 > stream4 > 8 > stream4 > 12 > stream4',
  ]),
  darknet('yolov2-608', yolo('yolov2', 608), ['stream4', 'stream4 > 8 > stream4 | 17 | whole']),
  darknet('yolov2-416', yolo('yolov2', 416), ['stream4', 'stream4 > 8 > stream4 | 17 | whole']),
  darknet('yolov2-tiny-416', yolo('yolov2-tiny', 416), ['stream4', 'stream4 > 4 > stream4 | 9 | whole']),
  darknet('yolo-fastest-320', { text: YOLO_FASTEST, size: 320 }, [
    'stream4 | 20 | whole',
    'stream4 > 9 > stream4 | 50 | whole',
  ]),
  built('mobilenetv2-0.35-144', () => mobileNetV2(0.35, { size: 144, seed: SEED }), MOBILE_PLANS),
  built('mobilenetv2-1.0-224', () => mobileNetV2(1, { size: 224, seed: SEED }), MOBILE_PLANS),
  built('resnet18-224', () => resNet18({ size: 224, seed: SEED }), [
    'stream4 | 8 | whole',
    'stream4 > 8 > stream4 | 15 | whole',
  ]),
];

/** Network of a name. @throws {RangeError} listing all names, if there is none. */
export function findNetwork(name: string): BenchNetwork {
  const network = NETWORKS.find((one) => one.name === name);
  const known = NETWORKS.map((one) => one.name).join(', ');
  if (network === undefined)
    throw new RangeError(`Cannot run network "${name}": it is unknown, expected one of ${known}`);
  return network;
}

function yolo(definition: string, size: number): DarknetNetworkSpec {
  return { text: valueFor(DEFINITIONS, definition), size };
}

function darknet(name: string, spec: DarknetNetworkSpec, plans: readonly string[]): BenchNetwork {
  const { text, size, layers } = spec;
  const choice = { seed: SEED, ...(layers === undefined ? {} : { layers }) };
  const save = (options: ImportOptions) =>
    synthesizeDarknet({ name, text }, choice, { ...options, input: { size: { width: size, height: size } } });
  return { name, plans, save, darknet: spec };
}

function built(name: string, build: () => Graph, plans: readonly string[]): BenchNetwork {
  const save = (options: ImportOptions) => {
    const graph = build();
    const source = { kind: 'synthetic' as const, files: [name] };
    const input = rgbInputOf(graph);
    const describe = () => ({ decoder: { kind: 'raw' as const }, input });
    return storeNetwork({ graph, input, source, describe }, options);
  };
  return { name, plans, save };
}
