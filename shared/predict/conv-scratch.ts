import type { Graph, Node } from '../graph/index.js';
import { elementCount, intsAttribute, tensorAt } from '../graph/index.js';
import { isBlocked } from './run-settings.js';
import type { RunStep } from './run-step.js';

/** Buffer of the sliced GEMM, per thread. Measured: 65,536 and 131,072 bytes at 1 and 2 threads. */
const SLICE_BYTES = 64 * 1024;

/**
 * Bytes of ONNX Runtime's Conv workspace for float32: none in blocked order; in NCHW order none for a plain 1x1, the
 * full im2col matrix if there are fewer output pixels than filters, else one slice a thread.
 * Source: onnxruntime/core/mlas/lib/convolve.cpp, MlasConvPrepare; checked by the allocator's log, 1.30.
 */
export function convScratchBytes(graph: Graph, node: Node, { shapeOf, level, threads }: RunStep): number {
  const weights = node.inputs[1] ?? -1;
  if (node.op !== 'Conv' || weights < 0 || isBlocked(level)) return 0;
  const [filters = 1, ...perFilter] = tensorAt(graph, weights).shape ?? [];
  const kernel = perFilter.slice(1);
  const isPlain =
    kernel.every((size) => size === 1) &&
    (intsAttribute(node, 'strides') ?? []).every((stride) => stride === 1) &&
    (intsAttribute(node, 'pads') ?? []).every((pad) => pad === 0);
  if (isPlain) return 0;
  const groups = Math.max(1, (shapeOf(node.inputs[0] ?? -1)[1] ?? 1) / (perFilter[0] ?? 1));
  const pixels = elementCount(shapeOf(node.outputs[0] ?? -1).slice(2));
  return filters / groups > pixels ? pixels * elementCount(perFilter) * 4 : SLICE_BYTES * threads;
}
