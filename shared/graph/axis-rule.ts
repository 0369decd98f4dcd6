/**
 * How one output row of an operator depends on input rows, the same for rows and columns.
 *
 * Output row o reads input rows [q*stride - pad, q*stride - pad + extent) with q = floor(o / up); rows
 * outside the map are padding. A convolution or pool has up = 1; an upsampling by f has up = f, stride = 1.
 * One formula for all is what lets the interval arithmetic in shared/tile know no operator by name.
 */
export interface AxisRule {
  readonly up: number;
  readonly stride: number;
  readonly pad: number;
  readonly extent: number;
  /** Border rows that padding is made of: 0 for constant padding, 1 for edge, pad + 1 for reflect. */
  readonly mirror: number;
}

export const POINTWISE: AxisRule = { up: 1, stride: 1, pad: 0, extent: 1, mirror: 0 };

export interface Window {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padBegin: number;
  readonly padEnd: number;
  readonly ceil?: boolean;
}

/** Rows between the first and the last that a kernel touches, both included. */
export function kernelExtent({ kernel, dilation }: Pick<Window, 'kernel' | 'dilation'>): number {
  return (kernel - 1) * dilation + 1;
}

/**
 * Output rows of a convolution or pool over `rowsIn` rows. In ceil mode a last window that would start in
 * the end padding is dropped, as ONNX Runtime does.
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
