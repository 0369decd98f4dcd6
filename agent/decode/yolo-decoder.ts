/**
 * YOLO heads that are decoded inside the network: one column or row for each cell, with the box in pixels of the input, then
 * the classes.
 *
 * - YOLOv8, v9, v11 and their kin: [1, 4 + classes, cells], scores as they are. Poses have x, y and visibility of each
 *   keypoint after their class, oriented boxes their angle, and segmentation has coefficients of masks.
 *   Source: ultralytics, nn/modules/head.py.
 * - YOLOv5 and v7: [1, cells, 5 + classes], where the fifth value is the objectness; segmentation as YOLOv8.
 *   Source: yolov5, models/yolo.py.
 * - YOLOv6: the same, with one box a cell and an objectness of 1. Source: YOLOv6, yolov6/models/effidehead.py and
 *   deploy/ONNX/export_onnx.py, which names the output `outputs`.
 */
import { bestClass } from './best-class.js';
import type { BoxDecoder, DecodeContext, OutputValues, Size } from './box-decoder.js';
import { boxOfPixels, misfit, YOLO_PIXELS } from './box-decoder.js';
import type { Box, Candidate, Point } from './detection.js';
import { findYolo } from './find-yolo.js';
import { boundsOf, cornersOf } from './rotated-box.js';
import type { YoloSpec } from './yolo-spec.js';
import { POINT_VALUES, yoloSchema } from './yolo-spec.js';

export const yoloDecoder: BoxDecoder<YoloSpec> = {
  kind: 'yolo',
  reads: '[1, 4 + classes, cells] of YOLOv8, v9 and v11, or [1, cells, 5 + classes] of YOLOv5, v6 and v7',
  schema: yoloSchema,
  recognise: findYolo,
  pixels: () => YOLO_PIXELS,
  decode,
};

/** The best class of each cell above the threshold. Cells below it make no objects. */
function decode(spec: YoloSpec, { read, width, height, threshold }: DecodeContext): readonly Candidate[] {
  const { shape, values } = read(spec.output);
  const size = { width, height };
  const isColumns = spec.cells === 'columns';
  const [, second = 0, third = 0] = shape;
  const [cells, count] = isColumns ? [third, second] : [second, third];
  const first = spec.objectness ? 5 : 4;
  const coefficients = spec.masks === undefined ? 0 : prototypeCount(spec.masks, read(spec.masks));
  const beside = POINT_VALUES * spec.keypoints + (spec.rotated ? 1 : 0) + coefficients;
  if (count < first + spec.classes + beside) {
    throw misfit(spec.output, shape, `${first} + ${spec.classes} values a cell`);
  }
  const [cellStep, valueStep] = isColumns ? [1, cells] : [count, 1];
  const candidates: Candidate[] = [];
  for (let cell = 0; cell < cells; cell += 1) {
    const at = (value: number) => values[cell * cellStep + value * valueStep] ?? 0;
    const objectness = spec.objectness ? at(4) : 1;
    if (!(objectness > threshold)) continue;
    const { classId, score } = bestClass(spec.classes, (value) => at(first + value));
    const confidence = score * objectness;
    if (!(confidence > threshold)) continue;
    const pixels = { centerX: at(0), centerY: at(1), width: at(2), height: at(3) };
    if (!(pixels.width >= 0 && pixels.height >= 0)) continue;
    const placed = spec.rotated
      ? rotatedBox(pixels, { angle: at(count - 1), size })
      : { box: boxOfPixels(pixels, size) };
    const points = Array.from({ length: spec.keypoints }, (_, point): Point => {
      const start = first + spec.classes + POINT_VALUES * point;
      return { x: at(start) / width, y: at(start + 1) / height, confidence: at(start + 2) };
    });
    const mask = Array.from({ length: coefficients }, (_, value) => at(count - coefficients + value));
    candidates.push({
      ...{ ...placed, classId, confidence },
      ...(points.length === 0 ? {} : { points }),
      ...(coefficients === 0 ? {} : { coefficients: mask }),
    });
  }
  return candidates;
}

/** A box in pixels at an angle: its corners and the upright box around it, relative to the input. */
function rotatedBox(
  pixels: Box,
  { angle, size }: { readonly angle: number; readonly size: Size },
): Pick<Candidate, 'box' | 'corners'> {
  const corners = cornersOf(pixels, angle).map(({ x, y }) => ({ x: x / size.width, y: y / size.height }));
  return { box: boundsOf(corners), corners };
}

/** Number of prototypes of masks. */
function prototypeCount(output: string, { shape }: OutputValues): number {
  const [batch, count = 0, ...size] = shape;
  if (batch === 1 && size.length === 2) return count;
  throw misfit(output, shape, '[1, prototypes, rows, cols]');
}
