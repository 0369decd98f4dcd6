/** The rule by which output rows of an operator depend on input rows. Columns follow a rule of the same form. */

/**
 * Output row o reads input rows [q*stride - pad, q*stride - pad + extent) with q = floor(o / up). Rows outside
 * the map are padding. A convolution or a pool has up = 1. An upsampling by f has up = f and stride = 1.
 *
 * The interval arithmetic in shared/tile needs this one formula alone and knows no operator by name.
 */
export interface AxisRule {
  readonly up: number;
  readonly stride: number;
  readonly pad: number;
  readonly extent: number;
  /** Number of border rows that padding is computed from: 0 for constant padding, 1 for edge, pad + 1 for reflect. */
  readonly mirror: number;
}

/** Rule of operators whose output pixel reads the same input pixel. */
export const POINTWISE: AxisRule = { up: 1, stride: 1, pad: 0, extent: 1, mirror: 0 };

/** Kernel, stride and padding of a convolution or a pool along one axis. */
export interface Window {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padBegin: number;
  readonly padEnd: number;
  readonly ceil?: boolean;
}

/** Number of rows from the first to the last that a kernel touches, both included. */
export function kernelExtent({ kernel, dilation }: Pick<Window, 'kernel' | 'dilation'>): number {
  return (kernel - 1) * dilation + 1;
}

/**
 * Number of output rows of a convolution or a pool over `rowsIn` rows. In ceil mode a last window that would
 * start in the end padding is dropped, as ONNX Runtime does.
 * Source: onnx/docs/Operators.md, Conv and MaxPool.
 */
export function windowRowsOut(rowsIn: number, window: Window): number {
  const span = rowsIn + window.padBegin + window.padEnd - kernelExtent(window);
  if (!window.ceil) return Math.floor(span / window.stride) + 1;
  const rows = Math.ceil(span / window.stride) + 1;
  return (rows - 1) * window.stride >= rowsIn + window.padBegin ? rows - 1 : rows;
}

export function windowRule(window: Omit<Window, 'padEnd' | 'ceil'>): AxisRule {
  return { up: 1, stride: window.stride, pad: window.padBegin, extent: kernelExtent(window), mirror: 0 };
}
