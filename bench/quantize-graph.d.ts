/**
 * Makes a float graph a quantised one, with QuantizeLinear and DequantizeLinear around each operator, as quantisers of
 * ONNX files write it.
 *
 * 1. Each map gets a scale and a zero point for its range.
 * 2. Weights become int8, symmetric, with one scale or one for each filter. Biases become int32 with the scale of the
 *    products. Both are read through a DequantizeLinear.
 * 3. A Relu or Clip right after a convolution stays with it. Operators that only move values keep the scale.
 *
 * Source: onnxruntime/quantization, static quantisation in QDQ form.
 */
import type { Graph, Node } from '../shared/graph/index.js';
/** Least and greatest value of a map. */
export type ValueRange = readonly [number, number];
export interface QuantizeOptions {
  /** Range of each map by tensor. */
  readonly ranges: ReadonlyMap<number, ValueRange>;
  readonly activations?: 'uint8' | 'int8';
  readonly perChannel?: boolean;
  /** Factor of the biases' scales. ONNX Runtime doesn't fuse a convolution where it isn't 1. */
  readonly biasFactor?: number;
  /** Whether the output of a node stays in floats. */
  readonly isFloat?: (node: Node, at: number) => boolean;
}
/** Returns the graph in quantised form. Its inputs and outputs stay floats. */
export declare function quantizeGraph(graph: Graph, options: QuantizeOptions): Graph;
