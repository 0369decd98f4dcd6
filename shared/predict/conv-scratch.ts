/** This file predicts the workspace that ONNX Runtime allocates while it runs a convolution. */

import type { Graph, Node } from '../graph/index.js';
import { elementAt, elementCount, intsAttribute, knownShape, tensorAt } from '../graph/index.js';
import type { ShapeOf } from '../tile/index.js';
import type { Allocator, KernelSettings } from './run-settings.js';
import { isBlocked } from './run-settings.js';

/** Bytes of the sliced GEMM's buffer, per thread. The allocator's log showed 65,536 at 1 thread and 131,072 at 2. */
const SLICE_BYTES = 64 * 1024;

/**
 * Ratio of the im2col matrix's memory to its bytes. jemalloc still keeps that of an earlier convolution, in which it
 * didn't fit. Measured with bench/predictor.
 */
const MATRIX_RATIOS: Readonly<Record<Allocator, number>> = { glibc: 1, jemalloc: 1.6 };

/**
 * Returns the bytes of ONNX Runtime's workspace for one float32 convolution. Other operators have none.
 *
 * 1. A ConvTranspose makes the full matrix that col2im adds up, at any level.
 * 2. In blocked order a Conv has none.
 * 3. In NCHW order a plain 1x1 has none.
 * 4. With fewer output pixels than filters of a group, the full im2col matrix is made.
 * 5. Else each thread has one slice.
 *
 * Source: onnxruntime/core/mlas/lib/convolve.cpp, MlasConvPrepare; core/providers/cpu/nn/conv_transpose.cc. The
 * allocator's log of release 1.30 confirms the former.
 */
export function convScratchBytes(
  graph: Graph,
  node: Node,
  { shapeOf, level, threads, allocator = 'glibc' }: KernelSettings & { readonly shapeOf: ShapeOf },
): number {
  if (node.op === 'ConvTranspose') return MATRIX_RATIOS[allocator] * columnBytes(graph, node, shapeOf);
  if (node.op !== 'Conv' || isBlocked(level)) return 0;
  const weights = knownShape(tensorAt(graph, elementAt(node.inputs, 1)));
  const [filters, channels] = [elementAt(weights, 0), elementAt(weights, 1)];
  const kernel = weights.slice(2);
  const isPlain =
    kernel.every((size) => size === 1) &&
    (intsAttribute(node, 'strides') ?? []).every((stride) => stride === 1) &&
    (intsAttribute(node, 'pads') ?? []).every((pad) => pad === 0);
  if (isPlain) return 0;
  const groups = elementAt(shapeOf(elementAt(node.inputs, 0)), 1) / channels;
  const pixels = elementCount(shapeOf(elementAt(node.outputs, 0)).slice(2));
  const matrixBytes = 4 * pixels * channels * elementCount(kernel);
  return filters / groups > pixels ? MATRIX_RATIOS[allocator] * matrixBytes : SLICE_BYTES * threads;
}

/** Returns the bytes of a ConvTranspose's matrix: of each pixel of its input, the products of one group. */
function columnBytes(graph: Graph, node: Node, shapeOf: ShapeOf): number {
  const weights = knownShape(tensorAt(graph, elementAt(node.inputs, 1)));
  const pixels = elementCount(shapeOf(elementAt(node.inputs, 0)).slice(2));
  return 4 * pixels * elementCount(weights.slice(1));
}
