/**
 * Where a plan equals the untiled run bit for bit, and where only within rounding.
 *
 * Three things make ONNX Runtime add up in another order. First, its GEMM splits the inner dimension in blocks
 * of 128, except for slices of at most 64 output pixels, which take larger blocks; a slice is a thread's
 * share, rounded up to 16. A single pixel takes a vector kernel. bench/rounding shows it: convolutions with
 * an inner dimension over 128 differ up to 64 pixels at one thread, 144 at two, 256 at three; others at one
 * pixel only. Second, a cut parts operators that would be computed as one, at the blocked levels
 * in many ways. And Softplus and Log round by where an element stands in a vector.
 * Source: onnxruntime/core/mlas/lib/sgemm.cpp and convolve.cpp.
 */

import type { Graph, Node, NodeRange } from '../graph/index.js';
import { boundaryOf, elementCount, tensorAt, tensorsRead } from '../graph/index.js';
import type { ShapeOf } from '../tile/index.js';
import { wholeShapes } from '../tile/index.js';

const BLOCK = 128;
const SLICE_UNIT = 16;
const SMALL_SLICE = 64;

export interface ExactnessSettings {
  /** Shapes by step, or the full maps at once. */
  readonly steps: readonly ShapeOf[] | 'whole';
  readonly threads: number;
  /** Blocked (NCHWc) kernels are in use: ONNX Runtime's levels `layout` and `all`. */
  readonly blocked: boolean;
}

/** Whether a range of nodes, run in a session of its own, computes the same bits as the untiled run does. */
export function isBitExact(graph: Graph, range: NodeRange, settings: ExactnessSettings): boolean {
  const { steps, threads, blocked } = settings;
  if (endsInFusion(graph, range) || (blocked && isCut(graph, range))) return false;
  if (steps === 'whole') return true;
  const nodes = graph.nodes.slice(range.from, range.to);
  if (nodes.some(({ op }) => UNEVEN.has(op))) return false;
  if (nodes.some((node) => becomesGlobal(graph, node, steps))) return false;
  const convolutions = nodes.filter(({ op }) => op === 'Conv');
  return [wholeShapes(graph), ...steps].every((shapeOf) =>
    convolutions.every((node) => isStable(graph, node, { shapeOf, threads })),
  );
}

/** An average over all of a step's map, a single pixel, may be computed by other code than one over windows. */
function becomesGlobal(graph: Graph, node: Node, steps: readonly ShapeOf[]): boolean {
  if (node.op !== 'AveragePool') return false;
  const isPixel = (shapeOf: ShapeOf) => elementCount(shapeOf(node.outputs[0] ?? -1).slice(2)) === 1;
  return !isPixel(wholeShapes(graph)) && steps.some(isPixel);
}

/** Computed by vector code with a scalar remainder that rounds differently: where an element stands matters. */
const UNEVEN = new Set(['Softplus', 'Log', 'Mish']);

function isStable(
  graph: Graph,
  conv: Node,
  { shapeOf, threads }: { shapeOf: ShapeOf; threads: number },
): boolean {
  const inner = elementCount(tensorAt(graph, conv.inputs[1] ?? -1).shape?.slice(1) ?? []);
  const pixels = elementCount(shapeOf(conv.outputs[0] ?? -1).slice(2));
  return pixels > 1 && (inner <= BLOCK || smallestSlice(pixels, threads) > SMALL_SLICE);
}

/** Fewest output pixels that one of up to `threads` threads gets; ONNX Runtime uses fewer for little work. */
function smallestSlice(pixels: number, threads: number): number {
  const slices = Array.from({ length: threads }, (_, at) => {
    const slice = Math.ceil(Math.ceil(pixels / (at + 1)) / SLICE_UNIT) * SLICE_UNIT;
    return Math.min(slice, pixels - Math.floor((pixels - 1) / slice) * slice);
  });
  return Math.min(...slices);
}

const MULTIPLYING = new Set(['Conv', 'ConvTranspose', 'MatMul', 'Gemm']);
const FUSED_AFTER = new Set(['Add', 'Sub', 'Mul', 'Div', 'Sum', 'BatchNormalization']);

/** Whether the end of a segment parts a multiplication from an addition that would be computed with it. */
function endsInFusion(graph: Graph, range: NodeRange): boolean {
  const leaving = new Set(boundaryOf(graph, range).outputs);
  const parted = graph.nodes
    .slice(range.from, range.to)
    .filter(({ op }) => MULTIPLYING.has(op))
    .flatMap(({ outputs }) => outputs.filter((index) => leaving.has(index)));
  return graph.nodes
    .slice(range.to)
    .some((node) => FUSED_AFTER.has(node.op) && tensorsRead(node).some((index) => parted.includes(index)));
}

/** In blocked layout, which operators are computed as one depends on what stands beside them in the session. */
function isCut(graph: Graph, { from, to }: NodeRange): boolean {
  return from > 0 || to < graph.nodes.length;
}
