/** Geometry of convolutions and pools as their attributes give it. */
import type { Window } from './axis-rule.js';
import type { Node } from './graph.js';
import { intsAttribute } from './graph.js';
import { elementAt } from './lookup.js';

/**
 * Window of each spatial axis. An absent attribute has ONNX's default: stride 1, dilation 1, padding 0.
 *
 * @param kernel rows and columns of the kernel.
 */
export function windowsOf(node: Node, kernel: readonly number[]): readonly Window[] {
  const strides = intsAttribute(node, 'strides') ?? kernel.map(() => 1);
  const dilations = intsAttribute(node, 'dilations') ?? kernel.map(() => 1);
  const pads = intsAttribute(node, 'pads') ?? [...kernel, ...kernel].map(() => 0);
  return kernel.map((size, axis) => ({
    kernel: size,
    stride: elementAt(strides, axis),
    dilation: elementAt(dilations, axis),
    padBegin: elementAt(pads, axis),
    padEnd: elementAt(pads, axis + kernel.length),
  }));
}
