/**
 * Measures how long the search for a front takes, over the levels that a machine with blocked kernels leaves open. The
 * plan for any budget is picked from the front, so no budget takes longer.
 *
 *     node dist/bench/search-time.js [--runs 5] [--network yolov2-608] [--onnx a.onnx,b.onnx]
 *
 * `first` is the first search for a network. It is cold if the network is the only one, so that JavaScript's compiler
 * hasn't run. `later` is the median of the other runs, each with a fresh graph. Processor time stands in brackets.
 */

import { parseCount } from '../agent/cli/parse-options.js';
import { formatTable, printLine } from '../agent/cli/print.js';
import type { Graph } from '../shared/graph/index.js';
import { elementAt } from '../shared/graph/index.js';
import { median } from '../shared/predict/index.js';
import { KNOBS, searchFront } from '../shared/search/index.js';
import { searchCuts } from '../shared/search/search-cuts.js';
import { benchCommand, onnxOption, optionOf } from './bench-options.js';
import { withOnnxGraphs } from './onnx-graphs.js';
import { runBench } from './run-bench.js';
import { SEARCHED } from './searched-graphs.js';

const VARIANTS = (['all', 'extended'] as const).map(
  (level) => ({ level, allocator: 'jemalloc', threads: 2 }) as const,
);

interface Flags {
  readonly runs: number;
  readonly network?: string;
  readonly onnx: readonly string[];
}

function readFlags(): Flags {
  return benchCommand('search-time', 'Measures how long the search for a front takes.')
    .addOption(optionOf('--runs <number>', 'searches of each network', { parse: parseCount, fallback: '5' }))
    .option('--network <text>', 'networks whose name contains this text (default: all)')
    .addOption(onnxOption())
    .parse()
    .opts<Flags>();
}

async function main(): Promise<void> {
  const { runs, network = '', onnx } = readFlags();
  const rows: (readonly string[])[] = [];
  for (const { name, build } of SEARCHED)
    if (name.includes(network)) rows.push(timeNetwork(name, build(), runs));
  await withOnnxGraphs(onnx, (name, graph) => rows.push(timeNetwork(name, graph, runs)));
  printLine(
    formatTable(['network', 'nodes', 'cuts', 'plans', 'complete', 'first ms', 'later ms', 'heap MB'], rows),
  );
}

function timeNetwork(name: string, graph: Graph, runs: number): readonly string[] {
  const searches = Array.from({ length: runs }, () => timeSearch(graph));
  const [first, ...later] = searches.map(({ times }) => times);
  const { front, heapBytes } = elementAt(searches, 0);
  return [
    name,
    String(graph.nodes.length),
    String(searchCuts(graph, KNOBS).length),
    String(front.points.length),
    front.complete ? 'yes' : 'no',
    first === undefined ? '-' : formatTimes([first]),
    later.length === 0 ? '-' : formatTimes(later),
    (heapBytes / 2 ** 20).toFixed(0),
  ];
}

/** Milliseconds of wall clock and of processor time, which differ if the machine is busy. */
type Times = readonly [number, number];

function formatTimes(times: readonly Times[]): string {
  const [wall, cpu] = [median(times.map(([ms]) => ms)), median(times.map(([, ms]) => ms))];
  return `${wall.toFixed(0)} (${cpu.toFixed(0)})`;
}

function timeSearch(graph: Graph) {
  // Facts are kept by graph, so each search has a fresh one.
  const fresh = { ...graph, nodes: graph.nodes.map((node) => ({ ...node })) };
  const start = performance.now();
  const used = process.cpuUsage();
  const front = searchFront(fresh, { variants: VARIANTS, weights: 'resident' });
  const { user, system } = process.cpuUsage(used);
  const times: Times = [performance.now() - start, (user + system) / 1000];
  return { front, times, heapBytes: process.memoryUsage().heapTotal };
}

await runBench(main);
