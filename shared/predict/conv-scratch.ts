/** This file predicts the workspace that ONNX Runtime allocates while it runs a convolution. */

import type { Graph, Node } from '../graph/index.js';
import { elementAt, elementCount, intsAttribute, knownShape, tensorAt } from '../graph/index.js';
import type { ShapeOf } from '../tile/index.js';
import type { KernelSettings } from './run-settings.js';
import { isBlocked } from './run-settings.js';

/** Bytes of the sliced GEMM's buffer, per thread. The allocator's log showed 65,536 at 1 thread and 131,072 at 2. */
const SLICE_BYTES = 64 * 1024;

/**
 * Returns the bytes of ONNX Runtime's workspace for one float32 Conv. Other operators have none.
 *
 * 1. In blocked order there is none.
 * 2. In NCHW order a plain 1x1 has none.
 * 3. With fewer output pixels than filters of a group, the full im2col matrix is made.
 * 4. Else each thread has one slice.
 *
 * Source: onnxruntime/core/mlas/lib/convolve.cpp, MlasConvPrepare. The allocator's log of release 1.30 confirms it.
 */
export function convScratchBytes(
  graph: Graph,
  node: Node,
  { shapeOf, level, threads }: KernelSettings & { readonly shapeOf: ShapeOf },
): number {
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
  return filters / groups > pixels ? matrixBytes : SLICE_BYTES * threads;
}
