/**
 * Outlines of what YOLOv5's and YOLOv8's segmentation finds. An object's mask is where the sum of its coefficients times the
 * prototypes is above zero, which is a probability above a half, within its box.
 *
 * Masks are taken at the size of the prototypes, a quarter of the input's, where ultralytics enlarges them first.
 * Source: ultralytics, utils/ops.py, process_mask.
 */
import type { OutputValues } from './box-decoder.js';
import type { Candidate } from './detection.js';
import { outlineOf } from './mask-outline.js';

/** The candidate with its outline, relative to the network's input. */
export function withOutline(candidate: Candidate, prototypes: OutputValues): Candidate {
  const { box, coefficients } = candidate;
  if (coefficients === undefined) return candidate;
  const [, , rows = 0, cols = 0] = prototypes.shape;
  const [left, right] = spanOf({ center: box.centerX, length: box.width }, cols);
  const [top, bottom] = spanOf({ center: box.centerY, length: box.height }, rows);
  const part = { left, top, rows: bottom - top, cols: right - left };
  const outline = outlineOf({ ...part, cells: maskOf(coefficients, { part, prototypes }) });
  const placed = outline.map(({ x, y }) => ({ x: (left + x) / cols, y: (top + y) / rows }));
  return { ...candidate, outline: placed };
}

/** The cells whose middle is within a box, from the first to the one after the last. */
function spanOf(
  { center, length }: { readonly center: number; readonly length: number },
  cells: number,
): readonly [number, number] {
  const [from, to] = [center - length / 2, center + length / 2].map((end) =>
    Math.min(cells, Math.max(0, Math.round(end * cells))),
  );
  return [from ?? 0, to ?? 0];
}

interface MaskPart {
  /** Cells of the prototypes that the box covers. */
  readonly part: {
    readonly left: number;
    readonly top: number;
    readonly rows: number;
    readonly cols: number;
  };
  readonly prototypes: OutputValues;
}

function maskOf(coefficients: readonly number[], { part, prototypes }: MaskPart): Uint8Array {
  const { shape, values } = prototypes;
  const [, , height = 0, width = 0] = shape;
  const sums = new Float64Array(part.rows * part.cols);
  for (const [plane, coefficient] of coefficients.entries())
    for (let row = 0; row < part.rows; row += 1) {
      const start = (plane * height + part.top + row) * width + part.left;
      for (let col = 0; col < part.cols; col += 1) {
        const at = row * part.cols + col;
        sums[at] = (sums[at] ?? 0) + coefficient * (values[start + col] ?? 0);
      }
    }
  return Uint8Array.from(sums, (sum) => (sum > 0 ? 1 : 0));
}
