/**
 * This file says where a plan equals the untiled run bit for bit. Elsewhere it equals it within rounding.
 *
 * Three things make ONNX Runtime add up in another order:
 *
 * 1. GEMM splits the inner dimension in blocks of 128. Slices of at most 64 output pixels take larger blocks. A slice
 *    is a thread's share, rounded up to 16. A single pixel takes a vector kernel. So convolutions with an inner
 *    dimension over 128 differ up to 64 pixels at one thread, 144 at two and 256 at three. Others differ at one pixel
 *    only. The measurement is in docs/benchmarks.md, "Rounding of cropped convolutions".
 * 2. A cut parts operators that would be computed as one. At the blocked levels there are many such operators. Blocked
 *    are float convolutions whose weights are constants, and what stands between them. A stream parts a convolution
 *    from the sum that reads it, since it cuts rows out in between.
 * 3. Softplus, Log and Mish round by where an element stands in a vector.
 *
 * Not guaranteed: that a range which is said to differ does differ. The promise of equal bits rests on the kernels of
 * ONNX Runtime 1.30 for x86-64, which were measured.
 * Source: onnxruntime/core/mlas/lib/sgemm.cpp and convolve.cpp.
 */

import type { Graph, Node, NodeRange } from '../graph/index.js';
import {
  boundaryOf,
  elementAt,
  elementCount,
  intAttribute,
  knownShape,
  producers,
  tensorAt,
  tensorsRead,
} from '../graph/index.js';
import type { ShapeOf } from '../tile/index.js';
import { wholeShapes } from '../tile/index.js';
import { interpolates } from './blocked-interpolation.js';

/** Inner dimension, in elements, up to which GEMM adds up in one block. Measured by bench/rounding. */
const BLOCK = 128;

/** Output pixels in whose multiples threads share a GEMM. */
const SLICE_UNIT = 16;

/** Output pixels up to which a slice takes larger blocks. Measured by bench/rounding. */
const SMALL_SLICE = 64;

/** The way a range of nodes runs, as far as it matters for rounding. */
export interface ExactnessSettings {
  /** Shapes of each kind of step, or `whole` if the full maps are computed at once. */
  readonly steps: readonly ShapeOf[] | 'whole';
  /** Whether rows are kept from step to step. */
  readonly streamed: boolean;
  readonly threads: number;
  /** Whether blocked (NCHWc) kernels are in use, as at ONNX Runtime's levels `layout` and `all`. */
  readonly blocked: boolean;
}

/** Whether a range of nodes, run in a session of its own, computes the same bits as the untiled run does. */
export function isBitExact(graph: Graph, range: NodeRange, settings: ExactnessSettings): boolean {
  const { steps, streamed, threads, blocked } = settings;
  const nodes = graph.nodes.slice(range.from, range.to);
  const isBlocked = blocked && nodes.some((node) => hasBlockedKernel(graph, node));
  if (endsInFusion(graph, range) || (isBlocked && isCut(graph, range))) return false;
  if (steps === 'whole') return true;
  if (nodes.some(({ op }) => UNEVEN.has(op))) return false;
  if (nodes.some((node) => becomesGlobal(graph, node, steps))) return false;
  // A stream has no blocked kernel that interpolates.
  if (blocked && nodes.some(interpolates)) return false;
  if (isBlocked && streamed && nodes.some((node) => takesSum(graph, node))) return false;
  const convolutions = nodes.filter(({ op }) => op === 'Conv' || op === 'ConvTranspose');
  return [wholeShapes(graph), ...steps].every((shapeOf) =>
    convolutions.every((node) => isStable(graph, node, { shapeOf, threads })),
  );
}

/** Whether a node runs in blocked order at the blocked levels. Weights that are computed aren't reordered. */
function hasBlockedKernel(graph: Graph, { op, domain, inputs }: Node): boolean {
  return op === 'Conv' && domain === '' && tensorAt(graph, elementAt(inputs, 1)).constant !== null;
}

/** Whether a sum of maps reads a blocked convolution, which ONNX Runtime computes as one. */
function takesSum(graph: Graph, { op, domain, inputs }: Node): boolean {
  if (domain !== '' || (op !== 'Add' && op !== 'Sum')) return false;
  const maps = inputs.filter((index) => tensorAt(graph, index).constant === null);
  return maps.length > 1 && maps.some((index) => givesConvolution(graph, index));
}

/** Whether a map comes from a blocked convolution, or from one and what is folded into it. */
function givesConvolution(graph: Graph, map: number): boolean {
  const maker = graph.nodes[elementAt(producers(graph), map)];
  if (maker === undefined) return false;
  if (hasBlockedKernel(graph, maker)) return true;
  const maps = maker.inputs.filter((index) => index >= 0 && tensorAt(graph, index).constant === null);
  const [only, ...others] = maps;
  return (
    FUSED_AFTER.has(maker.op) && only !== undefined && others.length === 0 && givesConvolution(graph, only)
  );
}

/** Whether a step averages all of its map to one pixel. Other code may compute that than an average over windows. */
function becomesGlobal(graph: Graph, node: Node, steps: readonly ShapeOf[]): boolean {
  if (node.op !== 'AveragePool') return false;
  const isPixel = (shapeOf: ShapeOf) => elementCount(shapeOf(elementAt(node.outputs, 0)).slice(2)) === 1;
  return !isPixel(wholeShapes(graph)) && steps.some(isPixel);
}

/** Operators of vector code whose scalar remainder rounds differently, so that the place of an element matters. */
const UNEVEN = new Set(['Softplus', 'Log', 'Mish']);

/** Whether a convolution adds up in the same order at these shapes as in any other stable case. */
function isStable(
  graph: Graph,
  conv: Node,
  { shapeOf, threads }: { shapeOf: ShapeOf; threads: number },
): boolean {
  const weights = knownShape(tensorAt(graph, elementAt(conv.inputs, 1)));
  // A transposed convolution multiplies each pixel of its input by the weights of its group's channels.
  const isTransposed = conv.op === 'ConvTranspose';
  const inner = isTransposed
    ? elementAt(weights, 0) / intAttribute(conv, 'group', 1)
    : elementCount(weights.slice(1));
  const map = isTransposed ? elementAt(conv.inputs, 0) : elementAt(conv.outputs, 0);
  const pixels = elementCount(shapeOf(map).slice(2));
  return pixels > 1 && (inner <= BLOCK || smallestSlice(pixels, threads) > SMALL_SLICE);
}

/** Returns the fewest output pixels that one of up to `threads` threads gets. Little work is shared by fewer threads. */
function smallestSlice(pixels: number, threads: number): number {
  const slices = Array.from({ length: threads }, (_, at) => {
    const slice = Math.ceil(Math.ceil(pixels / (at + 1)) / SLICE_UNIT) * SLICE_UNIT;
    return Math.min(slice, pixels - Math.floor((pixels - 1) / slice) * slice);
  });
  return Math.min(...slices);
}

/** Operators into which ONNX Runtime may fold a scaling or an addition after them. */
const MULTIPLYING = new Set(['Conv', 'ConvTranspose', 'MatMul', 'Gemm']);
/** Operators that ONNX Runtime may fold into a multiplication before them. */
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

/** Whether a range isn't the whole graph. In blocked layout a cut changes which operators are computed as one. */
function isCut(graph: Graph, { from, to }: NodeRange): boolean {
  return from > 0 || to < graph.nodes.length;
}
