/** Graphs for the benches of the search alone. No network is stored, so that many can be searched in one go. */
import { DEFINITIONS } from '../agent/models/definitions.js';
import { buildDarknet, parseDarknetConfig, SyntheticWeights } from '../shared/darknet/index.js';
import type { Graph } from '../shared/graph/index.js';
import { externalizeConstants, valueFor } from '../shared/graph/index.js';
import { SEED } from './networks.js';
import { mobileNetV2, resNet18 } from './networks-graphs.js';
import { YOLO_FASTEST } from './networks-yolo-fastest.js';
import { yoloV8 } from './networks-yolov8.js';

export interface SearchedGraph {
  readonly name: string;
  readonly build: () => Graph;
}

export const SEARCHED: readonly SearchedGraph[] = [
  darknet('yolov2-0-15-608', valueFor(DEFINITIONS, 'yolov2'), { size: 608, layers: 16 }),
  darknet('yolov2-608', valueFor(DEFINITIONS, 'yolov2'), { size: 608 }),
  darknet('yolov2-416', valueFor(DEFINITIONS, 'yolov2'), { size: 416 }),
  darknet('yolov2-tiny-416', valueFor(DEFINITIONS, 'yolov2-tiny'), { size: 416 }),
  darknet('yolo-fastest-320', YOLO_FASTEST, { size: 320 }),
  built('resnet18-224', () => resNet18({ size: 224, seed: SEED })),
  built('mobilenetv2-0.35-144', () => mobileNetV2(0.35, { size: 144, seed: SEED })),
  built('mobilenetv2-1.0-224', () => mobileNetV2(1, { size: 224, seed: SEED })),
  // Plans may cut between all nodes, as in a network from an ONNX file.
  built('mobilenetv2x2-224', () => layerEach(mobileNetV2(1, { size: 224, seed: SEED, depth: 2 }))),
  built('yolov8n-640', () => yoloV8({ size: 640, seed: SEED })),
];

function darknet(
  name: string,
  text: string,
  { size, layers = Number.POSITIVE_INFINITY }: { readonly size: number; readonly layers?: number },
): SearchedGraph {
  const sections = parseDarknetConfig(text).filter(({ layer }) => layer < layers);
  const options = { weights: new SyntheticWeights(SEED), size: { width: size, height: size } };
  return built(name, () => buildDarknet(sections, options).graph);
}

function built(name: string, build: () => Graph): SearchedGraph {
  return { name, build: () => externalizeConstants(build(), 'weights').graph };
}

function layerEach(graph: Graph): Graph {
  return { ...graph, nodes: graph.nodes.map((node, layer) => ({ ...node, layer })) };
}
