/**
 * Activations of MobileNetV2 (width 0.35, 144x144) by the convention of msf-CNN, in plans that compute nothing twice.
 *
 *     node dist/bench/activations.js [--json]
 *
 * The convention (TinyPART/msf-CNN, analysis/): one byte an element; weights, the network's input and its output don't
 * count. A fused block takes its input map, its output map, and for each map within the rows that its reader's window
 * is high. msf-CNN takes networks for chains; what a residual has to wait with is counted here all the same.
 * Blocks are streams, whose MACs are those of the untiled network; the cuts between them are the best there are.
 */

import type { Graph } from '../shared/graph/index.js';
import { boundaryOf, knownShape, tensorAt } from '../shared/graph/index.js';
import { countRangeMacs } from '../shared/predict/index.js';
import { flowOf, layoutLink, streamBy, wholeShapes } from '../shared/tile/index.js';
import { mobileNetV2 } from './networks-graphs.js';

const graph = mobileNetV2(0.35, { size: 144, seed: 1 });

/** Elements of a map; of one of its rows. */
function elementsOf(tensor: number): number {
  return knownShape(tensorAt(graph, tensor)).reduce((product, dim) => product * dim, 1);
}

function rowElements(tensor: number): number {
  const [, channels = 1, , cols = 1] = knownShape(tensorAt(graph, tensor));
  return channels * cols;
}

function isEnd(tensor: number): boolean {
  return graph.inputs.includes(tensor) || graph.outputs.includes(tensor);
}

/** Bytes of a block that is streamed, or of what runs node by node; one node alone needs its maps. */
function blockBytes(from: number, to: number): number {
  const { inputs, outputs } = boundaryOf(graph, { from, to });
  const maps = [...inputs, ...outputs]
    .filter((tensor) => !isEnd(tensor))
    .reduce((sum, one) => sum + elementsOf(one), 0);
  if (to === from + 1) return maps;
  const inner = innerRows(graph, from, to);
  if (inner !== undefined) return maps + inner;
  return Math.max(...Array.from({ length: to - from }, (_, at) => blockBytes(from + at, from + at + 1)));
}

/** Of each map within a block the rows that are kept for its window, and those that wait for another branch. */
function innerRows(net: Graph, from: number, to: number): number | undefined {
  const flow = flowOf(net, { from, to });
  const link = flow === undefined ? undefined : streamBy(flow, 1);
  if (flow === undefined || link === undefined) return undefined;
  const { inputs } = flow.space.boundary;
  const rowsOf = new Map<number, number>();
  const wanted = (tensor: number, rows: number) =>
    rowsOf.set(tensor, Math.max(rowsOf.get(tensor) ?? 0, rows));
  for (const { tensor, rule } of flow.edges) wanted(tensor, rule.extent);
  for (const { operand } of [...layoutLink(net, link).made.values()].flat())
    wanted(operand.tensor, operand.kept + 1);
  return [...rowsOf]
    .filter(([tensor]) => !inputs.includes(tensor) && !isFused(net, tensor))
    .reduce(
      (sum, [tensor, rows]) =>
        sum + Math.min(rows, knownShape(tensorAt(net, tensor))[2] ?? 1) * rowElements(tensor),
      0,
    );
}

/** What an activation alone reads is no map of its own: it is computed with the layer before. */
function isFused(net: Graph, tensor: number): boolean {
  const readers = net.nodes.filter(({ inputs }) => inputs.includes(tensor));
  return readers.length === 1 && readers[0]?.op === 'Clip';
}

interface Best {
  readonly bytes: number;
  readonly cuts: readonly number[];
}

/** Least largest block, over cuts between layers. */
function solve(): Best {
  const starts = graph.nodes.flatMap(({ layer }, at) =>
    at === 0 || graph.nodes[at - 1]?.layer !== layer ? [at] : [],
  );
  const cuts = [...starts, graph.nodes.length];
  const best: Best[] = [{ bytes: 0, cuts: [] }];
  for (let end = 1; end < cuts.length; end += 1) {
    best[end] = { bytes: Number.POSITIVE_INFINITY, cuts: [] };
    for (let start = 0; start < end; start += 1) {
      const [from = 0, to = 0] = [cuts[start], cuts[end]];
      const own = blockBytes(from, to);
      const before = best[start];
      if (before === undefined) continue;
      const bytes = Math.max(before.bytes, own);
      if (bytes < (best[end]?.bytes ?? 0))
        best[end] = { bytes, cuts: [...before.cuts, graph.nodes[from]?.layer ?? 0] };
    }
  }
  return best[cuts.length - 1] ?? { bytes: Number.POSITIVE_INFINITY, cuts: [] };
}

const { bytes, cuts } = solve();
const macs = countRangeMacs(graph, { from: 0, to: graph.nodes.length }, [wholeShapes(graph)]);
const untiled = Math.max(...graph.nodes.map((_, at) => blockBytes(at, at + 1)));
if (process.argv.includes('--json'))
  console.log(JSON.stringify({ bytes, cuts: cuts.slice(1), macs, macRatio: 1, untiled }));
else {
  console.log(
    `MobileNetV2 0.35, 144x144: ${(macs / 1e6).toFixed(2)} M multiply-accumulates, untiled ${(untiled / 1000).toFixed(1)} kB`,
  );
  console.log(`${(bytes / 1000).toFixed(1)} kB at 1.00 x, cut before layers ${cuts.slice(1).join(', ')}`);
}
