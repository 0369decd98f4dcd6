/**
 * YuNet of OpenCV Zoo (face_detection_yunet_2023mar): for each stride `cls_8` and `obj_8` [1, cells, 1], `bbox_8` [1, cells, 4]
 * and `kps_8` [1, cells, 10], in strides from the cell's corner:
 *
 * - confidence = sqrt(cls * obj); centre = cell + box, size = exp(box); landmark = cell + value.
 *
 * Source: OpenCV, modules/objdetect/src/face_detect.cpp, postProcess and padWithDivisor.
 */
import { choice, list, map, wholeNumber } from '../../shared/rules/index.js';
import type { BoxDecoder, DecodeContext, NetworkFacts } from './box-decoder.js';
import { boxOfPixels, gridOf, ratio, STRIDES } from './box-decoder.js';
import { cellShape, readCells } from './cell-values.js';
import type { Candidate, Point } from './detection.js';

export interface YunetSpec {
  readonly kind: 'yunet';
  readonly strides: readonly number[];
  readonly threshold: number;
  readonly nmsIou: number;
}

/** Least confidence and overlap of opencv_zoo, models/face_detection_yunet/yunet.py. */
const [FACE_THRESHOLD, FACE_IOU] = [0.6, 0.3];

const POINTS = 5;

/** Values that a cell has in each output. */
const PARTS = { cls: 1, obj: 1, bbox: 4, kps: 2 * POINTS } as const;

export const yunetDecoder: BoxDecoder<YunetSpec> = {
  kind: 'yunet',
  reads: 'outputs cls_8, obj_8, bbox_8 and kps_8, and the same of strides 16 and 32, of YuNet',
  schema: map({
    kind: choice(['yunet']),
    strides: list(wholeNumber(1, 1024), { least: 1, expected: 'a list of at least one stride' }),
    threshold: ratio,
    nmsIou: ratio,
  }),
  recognise,
  // OpenCV fills up on the right and below, with black.
  pixels: () => ({
    by: 'YuNet',
    ...{ resize: 'letterbox', margin: { grey: 0, place: 'top-left' }, colorOrder: 'bgr', scale: 1 },
  }),
  decode: ({ strides }, context) => strides.flatMap((stride) => decodeStride(stride, context)),
};

function recognise({ outputs, ...size }: NetworkFacts): YunetSpec | undefined {
  const isWhole = STRIDES.every((stride) => {
    const { rows, cols } = gridOf(size, stride);
    return Object.entries(PARTS).every(([part, count]) => {
      const found = outputs.find(({ name }) => name === `${part}_${stride}`);
      const shape = cellShape(found ?? { shape: [] });
      return shape.cells === rows * cols && shape.count === count;
    });
  });
  if (!isWhole) return undefined;
  return { kind: 'yunet', strides: STRIDES, threshold: FACE_THRESHOLD, nmsIou: FACE_IOU };
}

function decodeStride(stride: number, context: DecodeContext): readonly Candidate[] {
  const { width, height, threshold } = context;
  const { rows, cols } = gridOf(context, stride);
  const cells = rows * cols;
  const part = (name: keyof typeof PARTS) =>
    readCells(context, { output: `${name}_${stride}`, cells, count: PARTS[name] }).at;
  const [cls, obj, bbox, kps] = [part('cls'), part('obj'), part('bbox'), part('kps')];
  const candidates: Candidate[] = [];
  for (let cell = 0; cell < cells; cell += 1) {
    const confidence = Math.sqrt(clamped(cls(cell, 0)) * clamped(obj(cell, 0)));
    if (!(confidence > threshold)) continue;
    const [col, row] = [cell % cols, Math.floor(cell / cols)];
    const box = {
      centerX: (col + bbox(cell, 0)) * stride,
      centerY: (row + bbox(cell, 1)) * stride,
      width: Math.exp(bbox(cell, 2)) * stride,
      height: Math.exp(bbox(cell, 3)) * stride,
    };
    // The network gives landmarks no confidence, so theirs is the face's.
    const points = Array.from({ length: POINTS }, (_, point): Point => {
      const [x, y] = [kps(cell, 2 * point), kps(cell, 2 * point + 1)];
      return { x: ((col + x) * stride) / width, y: ((row + y) * stride) / height, confidence };
    });
    candidates.push({ box: boxOfPixels(box, context), classId: 0, confidence, points });
  }
  return candidates;
}

/** Quantised networks give probabilities beyond 0 and 1. */
function clamped(probability: number): number {
  return Math.min(1, Math.max(0, probability));
}
