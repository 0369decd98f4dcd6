/**
 * Geometry of ConvTranspose along one axis.
 *
 * Input row i adds to output rows i*stride - padBegin + tap*dilation. So output row q*stride + r reads the input rows
 * q + (r + padBegin - tap*dilation) / stride that are whole. Over all r they lie from
 * q - floor((extent - 1 - padBegin) / stride) to q + floor((stride - 1 + padBegin) / stride).
 * Source: onnx/docs/Operators.md, ConvTranspose.
 */
import type { AxisRule, Window } from './axis-rule.js';
import { kernelExtent } from './axis-rule.js';
import type { Attribute, Graph, Node } from './graph.js';
import { inputAt, intsAttribute, knownShape, outputAt, stringAttribute, tensorAt } from './graph.js';
import { elementAt } from './lookup.js';
import { windowsOf } from './window-attributes.js';

/** Rule of output rows that a transposed convolution makes of input rows. */
export function transposedRule(window: Omit<Window, 'padEnd' | 'ceil'>): AxisRule {
  const { stride, padBegin } = window;
  const before = Math.floor((kernelExtent(window) - 1 - padBegin) / stride);
  const after = Math.floor((stride - 1 + padBegin) / stride);
  return { up: stride, stride: 1, pad: before, extent: before + after + 1, mirror: 0 };
}

/** Windows of a ConvTranspose, or undefined if its padding follows from the size of its output. */
export function transposedWindows(graph: Graph, node: Node): readonly Window[] | undefined {
  const kernel = tensorAt(graph, inputAt(node, 1)).shape?.slice(2);
  const isExplicit = stringAttribute(node, 'auto_pad', 'NOTSET') === 'NOTSET';
  if (kernel === undefined || !isExplicit || intsAttribute(node, 'output_shape') !== undefined)
    return undefined;
  return windowsOf(node, kernel);
}

/**
 * Makes the padding of a ConvTranspose explicit that follows from the size of its output. A node whose output is
 * larger than all that its input adds to stays as it is, and is a barrier.
 */
export function explicitTransposedPads(graph: Graph, node: Node): Node {
  if (node.op !== 'ConvTranspose' || node.domain !== '' || transposedWindows(graph, node) !== undefined)
    return node;
  const [rowsIn, rowsOut] = [inputAt(node, 0), outputAt(node, 0)].map((index) =>
    knownShape(tensorAt(graph, index)).slice(2),
  );
  const { auto_pad: _, output_shape: __, ...attributes } = node.attributes;
  const kernel = knownShape(tensorAt(graph, inputAt(node, 1))).slice(2);
  const added = intsAttribute(node, 'output_padding') ?? [];
  const totals = windowsOf(node, kernel).map((window, axis) => {
    const rows = (elementAt(rowsIn ?? [], axis) - 1) * window.stride + kernelExtent(window);
    return rows + (added[axis] ?? 0) - elementAt(rowsOut ?? [], axis);
  });
  if (totals.some((total) => total < 0)) return node;
  const smaller = totals.map((total) => Math.floor(total / 2));
  const larger = totals.map((total) => Math.ceil(total / 2));
  const isUpper = stringAttribute(node, 'auto_pad', 'NOTSET') === 'SAME_UPPER';
  const pads: Attribute = {
    kind: 'ints',
    value: isUpper ? [...smaller, ...larger] : [...larger, ...smaller],
  };
  return { ...node, attributes: { ...attributes, pads } };
}
