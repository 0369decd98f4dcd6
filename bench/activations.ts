/**
 * Counts the bytes of MobileNetV2's activations (width 0.35, 144x144) by the convention of msf-CNN.
 *
 *     node dist/bench/activations.js [--json]
 *
 * The convention (TinyPART/msf-CNN, analysis/): an element takes one byte. Weights, the network's input and its output
 * don't count. A fused block takes its input map, its output map and some rows of each inner map. The number of rows
 * is the height of the window that reads the map. msf-CNN treats networks as chains. This bench also counts the rows
 * that wait for the other branch of a residual.
 *
 * Blocks are streams, which compute nothing twice. The cuts between them are optimal.
 */

import type { Graph } from '../shared/graph/index.js';
import { boundaryOf, elementAt, elementCount, knownShape, tensorAt } from '../shared/graph/index.js';
import { countRangeMacs } from '../shared/predict/index.js';
import { flowOf, layoutLink, streamBy, wholeShapes } from '../shared/tile/index.js';
import { benchCommand } from './bench-options.js';
import { mobileNetV2 } from './networks-graphs.js';

const flags = benchCommand('activations', "Counts the bytes of MobileNetV2's activations as msf-CNN does.")
  .option('--json', 'print as JSON (default: as text)')
  .parse()
  .opts<{ readonly json?: true }>();

const graph = mobileNetV2(0.35, { size: 144, seed: 1 });

/** Number of elements of a map. */
function elementsOf(tensor: number): number {
  return elementCount(knownShape(tensorAt(graph, tensor)));
}

/** Number of elements of a map's first rows; the map may have fewer rows. */
function rowElements(tensor: number, rows: number): number {
  const shape = knownShape(tensorAt(graph, tensor));
  const [channels, height, cols] = [elementAt(shape, 1), elementAt(shape, 2), elementAt(shape, 3)];
  return channels * Math.min(rows, height) * cols;
}

function isEnd(tensor: number): boolean {
  return graph.inputs.includes(tensor) || graph.outputs.includes(tensor);
}

/** Bytes of a block. A block that can't be streamed runs node by node, and a node needs its maps. */
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

/** Bytes of a block's inner maps: rows for the readers' windows and rows that wait for another branch. */
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
    .reduce((sum, [tensor, rows]) => sum + rowElements(tensor, rows), 0);
}

/** Whether an activation is the only reader of a map. The layer before then computes both at once. */
function isFused(net: Graph, tensor: number): boolean {
  const readers = net.nodes.filter(({ inputs }) => inputs.includes(tensor));
  return readers.length === 1 && readers[0]?.op === 'Clip';
}

interface Best {
  /** Bytes of the largest block. */
  readonly bytes: number;
  /** Layers at which the blocks start. */
  readonly cuts: readonly number[];
}

/** Cuts between layers that make the largest block as small as possible. */
function solve(): Best {
  const starts = graph.nodes.flatMap(({ layer }, at) => (graph.nodes[at - 1]?.layer === layer ? [] : [at]));
  const ends = [...starts.slice(1), graph.nodes.length];
  const best: Best[] = [{ bytes: 0, cuts: [] }];
  for (const [last, end] of ends.entries()) {
    let least: Best = { bytes: Number.POSITIVE_INFINITY, cuts: [] };
    for (const [at, start] of starts.slice(0, last + 1).entries()) {
      const before = elementAt(best, at);
      const bytes = Math.max(before.bytes, blockBytes(start, end));
      if (bytes < least.bytes) least = { bytes, cuts: [...before.cuts, elementAt(graph.nodes, start).layer] };
    }
    best.push(least);
  }
  return elementAt(best, ends.length);
}

const { bytes, cuts } = solve();
const macs = countRangeMacs(graph, { from: 0, to: graph.nodes.length }, [wholeShapes(graph)]);
const untiled = Math.max(...graph.nodes.map((_, at) => blockBytes(at, at + 1)));
if (flags.json) console.log(JSON.stringify({ bytes, cuts: cuts.slice(1), macs, macRatio: 1, untiled }));
else {
  console.log(
    `MobileNetV2 0.35, 144x144: ${(macs / 1e6).toFixed(2)} M multiply-accumulates; untiled it needs ${(untiled / 1000).toFixed(1)} kB`,
  );
  console.log(
    `streamed it needs ${(bytes / 1000).toFixed(1)} kB at 1.00 x the work; cuts before layers ${cuts.slice(1).join(', ')}`,
  );
}
