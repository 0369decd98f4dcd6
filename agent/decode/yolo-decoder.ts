/**
 * YOLO heads that are decoded inside the network: one column or row for each cell, with the box in pixels of the input, then
 * the classes.
 *
 * - YOLOv8, v9, v11 and their kin: [1, 4 + classes, cells], scores as they are. Poses have x, y and visibility of each
 *   keypoint after their class, and oriented boxes their angle; coefficients of masks are passed over.
 *   Source: ultralytics, nn/modules/head.py.
 * - YOLOv5 and v7: [1, cells, 5 + classes], where the fifth value is the objectness. Source: yolov5, models/yolo.py.
 * - YOLOv6: the same, with one box a cell and an objectness of 1. Source: YOLOv6, yolov6/models/effidehead.py and
 *   deploy/ONNX/export_onnx.py, which names the output `outputs`.
 */
import { choice, flag, map, orDefault, text, wholeNumber } from '../../shared/rules/index.js';
import { bestClass } from './best-class.js';
import type { BoxDecoder, DecodeContext, NetworkFacts, OutputShape, Size } from './box-decoder.js';
import {
  boxOfPixels,
  cellCount,
  misfit,
  NMS_IOU,
  ratio,
  STRIDES,
  THRESHOLD,
  ULTRALYTICS_IOU,
  YOLO_PIXELS,
} from './box-decoder.js';
import type { Box, Candidate, Point } from './detection.js';
import { boundsOf, cornersOf } from './rotated-box.js';

export interface YoloSpec {
  readonly kind: 'yolo';
  readonly output: string;
  /** Whether a cell is a column [1, values, cells] or a row [1, cells, values]. */
  readonly cells: 'columns' | 'rows';
  readonly objectness: boolean;
  readonly classes: number;
  readonly keypoints: number;
  /** Whether a cell's last value is the angle of its box, in radians. */
  readonly rotated: boolean;
  readonly threshold: number;
  readonly nmsIou: number;
}

/** Numbers of a keypoint: x, y and visibility. */
const POINT = 3;

/** Coefficients of the masks of segmentation. */
const MASKS = 32;

export const yoloDecoder: BoxDecoder<YoloSpec> = {
  kind: 'yolo',
  reads: '[1, 4 + classes, cells] of YOLOv8, v9 and v11, or [1, cells, 5 + classes] of YOLOv5 and v7',
  schema: map({
    kind: choice(['yolo']),
    output: text(),
    cells: choice(['columns', 'rows']),
    objectness: flag(),
    classes: wholeNumber(1),
    keypoints: wholeNumber(0),
    rotated: orDefault(flag(), false),
    threshold: ratio,
    nmsIou: ratio,
  }),
  recognise: (facts) => {
    const [output] = facts.outputs;
    if (output === undefined || output.shape.length !== 3 || output.shape[0] !== 1) return undefined;
    return columnsOf(output, facts) ?? rowsOf(output, facts);
  },
  pixels: () => YOLO_PIXELS,
  decode,
};

/** One box for each cell of strides 8, 16 and 32; a network of four strides has 64, too, or 4 before. */
function columnsOf({ name, shape }: OutputShape, facts: NetworkFacts): YoloSpec | undefined {
  const [, values = 0, cells = 0] = shape;
  const isGrid = [STRIDES, [4, ...STRIDES], [...STRIDES, 64]].some(
    (strides) => cells === cellCount(facts, strides),
  );
  if (values < 5 || !(isGrid || (facts.isTold && cells > values))) return undefined;
  const isPose = facts.task === 'pose' && facts.labels !== undefined;
  const beside = { segment: MASKS, obb: 1 }[facts.task ?? ''] ?? 0;
  const classes = isPose ? (facts.labels ?? 1) : values - 4 - beside;
  const keypoints = isPose ? (values - 4 - classes) / POINT : 0;
  if (classes < 1 || !Number.isInteger(keypoints)) return undefined;
  const spec = {
    kind: 'yolo',
    output: name,
    cells: 'columns',
    objectness: false,
    classes,
    keypoints,
    rotated: facts.task === 'obb',
  } as const;
  return { ...spec, threshold: THRESHOLD, nmsIou: ULTRALYTICS_IOU };
}

/** Three boxes for each cell, or one of YOLOv6. YOLOX has as many of another meaning, but its exporter's name is `output`. */
function rowsOf({ name, shape }: OutputShape, facts: NetworkFacts): YoloSpec | undefined {
  const [, cells = 0, values = 0] = shape;
  const { labels = values - 5 } = facts;
  const each = name === 'outputs' && values === 5 + labels ? [1, 3] : [3];
  const isGrid = [STRIDES, [...STRIDES, 64]].some((strides) =>
    each.some((boxes) => cells === boxes * cellCount(facts, strides)),
  );
  if (values < 6 || !(isGrid || (facts.isTold && cells > values))) return undefined;
  const spec = { kind: 'yolo', output: name, cells: 'rows', objectness: true, classes: values - 5 } as const;
  return { ...spec, keypoints: 0, rotated: false, threshold: THRESHOLD, nmsIou: NMS_IOU };
}

/** The best class of each cell above the threshold. Cells below it make no objects. */
function decode(spec: YoloSpec, { read, width, height, threshold }: DecodeContext): readonly Candidate[] {
  const { shape, values } = read(spec.output);
  const size = { width, height };
  const isColumns = spec.cells === 'columns';
  const [, second = 0, third = 0] = shape;
  const [cells, count] = isColumns ? [third, second] : [second, third];
  const first = spec.objectness ? 5 : 4;
  if (count < first + spec.classes + POINT * spec.keypoints + (spec.rotated ? 1 : 0)) {
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
      const start = first + spec.classes + POINT * point;
      return { x: at(start) / width, y: at(start + 1) / height, confidence: at(start + 2) };
    });
    candidates.push({ ...placed, classId, confidence, ...(points.length === 0 ? {} : { points }) });
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
