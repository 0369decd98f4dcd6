/**
 * Measures how long the search for a plan takes. A cold search knows nothing of the graph; a warm one has its ranges.
 *
 *     node dist/bench/search-time.js [--runs 5] [--network yolov2-608] [--first]
 *
 * Budgets lie between the least memory of any plan and the memory of the untiled run. `none` is a budget that no plan
 * meets, so the search ends with the smallest plan. The times are medians of wall clock, with processor time in
 * brackets. `--first` measures the first search of the process alone, before JavaScript's compiler has run.
 */

import { parseCount } from '../agent/cli/parse-options.js';
import { formatTable, printLine } from '../agent/cli/print.js';
import { DEFINITIONS } from '../agent/models/definitions.js';
import { buildDarknet, parseDarknetConfig, SyntheticWeights } from '../shared/darknet/index.js';
import type { Graph } from '../shared/graph/index.js';
import { externalizeConstants, valueFor } from '../shared/graph/index.js';
import { median } from '../shared/predict/index.js';
import type { SearchOptions } from '../shared/search/index.js';
import { BudgetError, buildPlan, optimalCandidates, searchPlan } from '../shared/search/index.js';
import { benchCommand, optionOf } from './bench-options.js';
import { mobileNetV2, resNet18 } from './networks-graphs.js';
import { YOLO_FASTEST } from './networks-yolo-fastest.js';

const SETTINGS = { threads: 2, level: 'extended', weights: 'resident' } as const;

/** Budgets as parts of the way from the least memory of any plan to that of the untiled run. */
const PARTS = [0.02, 0.1, 0.3, 0.6, 1];

const NETWORKS: ReadonlyMap<string, () => Graph> = new Map([
  ['yolov2-608', () => darknet(valueFor(DEFINITIONS, 'yolov2'), 608)],
  ['yolov2-tiny-416', () => darknet(valueFor(DEFINITIONS, 'yolov2-tiny'), 416)],
  ['yolo-fastest-320', () => darknet(YOLO_FASTEST, 320)],
  ['resnet18-224', () => resNet18({ size: 224, seed: 1 })],
  ['mobilenetv2-224', () => mobileNetV2(1, { size: 224, seed: 1 })],
  // Plans may cut between all nodes, as in a network from an ONNX file.
  ['mobilenetv2x2-224', () => layerEach(mobileNetV2(1, { size: 224, seed: 1, depth: 2 }))],
]);

interface Flags {
  readonly runs: number;
  readonly network?: string;
  readonly first?: true;
}

function main(): void {
  const { network = '', ...flags } = benchCommand(
    'search-time',
    'Measures how long the search for a plan takes.',
  )
    .addOption(optionOf('--runs <number>', 'searches at each budget', { parse: parseCount, fallback: '5' }))
    .option('--network <text>', 'networks whose name contains this text (default: all)')
    .option('--first', 'measure the first search of the process alone (default: all searches)')
    .parse()
    .opts<Flags>();
  const chosen = [...NETWORKS].filter(([name]) => name.includes(network));
  const runs = flags.first ? 1 : flags.runs;
  const rows = chosen.flatMap(([name, build]) =>
    timeNetwork(name, externalizeConstants(build(), 'w').graph, runs),
  );
  printLine(formatTable(['network', 'nodes', 'budget MB', 'ms', 'plan', 'cold ms', 'warm ms'], rows));
}

function timeNetwork(name: string, graph: Graph, runs: number): readonly (readonly string[])[] {
  if (runs === 1) return [timeBudget(name, graph, { budgetBytes: 64 * 2 ** 20, runs })];
  const whole = buildPlan(graph, { modes: [{ kind: 'whole' }], cuts: [] }, SETTINGS).predicted.peakBytes;
  const least = leastBytes(graph);
  const budgets = [1, ...PARTS.map((part) => least + part * (whole - least)), Number.POSITIVE_INFINITY];
  return budgets.map((budgetBytes) => timeBudget(name, graph, { budgetBytes, runs }));
}

function timeBudget(
  name: string,
  graph: Graph,
  { budgetBytes, runs }: { readonly budgetBytes: number; readonly runs: number },
): readonly string[] {
  const options = { ...SETTINGS, budgetBytes };
  const times = Array.from({ length: runs }, () => {
    const fresh = { ...graph, nodes: graph.nodes.map((node) => ({ ...node })) };
    return [timeSearch(fresh, options), timeSearch(fresh, options)] as const;
  });
  const { notation, latencyMs } = describe(graph, options);
  return [
    name,
    String(graph.nodes.length),
    budgetBytes === 1 ? 'none' : (budgetBytes / 2 ** 20).toFixed(1),
    latencyMs.toFixed(2),
    notation.length > 60 ? `${notation.slice(0, 57)}...` : notation,
    formatTimes(times.map(([cold]) => cold)),
    formatTimes(times.map(([, warm]) => warm)),
  ];
}

function formatTimes(times: readonly (readonly [number, number])[]): string {
  const [wall, cpu] = [median(times.map(([ms]) => ms)), median(times.map(([, ms]) => ms))];
  return `${wall.toFixed(0)} (${cpu.toFixed(0)})`;
}

/** Milliseconds of wall clock and of processor time, which differ if the machine is busy. */
function timeSearch(graph: Graph, options: SearchOptions): readonly [number, number] {
  const start = performance.now();
  const used = process.cpuUsage();
  describe(graph, options);
  const { user, system } = process.cpuUsage(used);
  return [performance.now() - start, (user + system) / 1000];
}

function describe(graph: Graph, options: SearchOptions): { notation: string; latencyMs: number } {
  try {
    const { notation, predicted } = searchPlan(graph, optimalCandidates, options);
    return { notation, latencyMs: predicted.latencyMs };
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    const { notation, predicted } = error.smallest;
    return { notation: `(${notation})`, latencyMs: predicted.latencyMs };
  }
}

function leastBytes(graph: Graph): number {
  try {
    return searchPlan(graph, optimalCandidates, { ...SETTINGS, budgetBytes: 1 }).predicted.peakBytes;
  } catch (error) {
    if (error instanceof BudgetError) return error.smallestBytes;
    throw error;
  }
}

function darknet(text: string, size: number): Graph {
  const weights = new SyntheticWeights(1);
  return buildDarknet(parseDarknetConfig(text), { weights, size: { width: size, height: size } }).graph;
}

function layerEach(graph: Graph): Graph {
  return { ...graph, nodes: graph.nodes.map((node, layer) => ({ ...node, layer })) };
}

main();
