/** Sizes that boxes of anchor networks are relative to. */
import type { Size } from './box-decoder.js';

/** Anchors of a map, in pixels of the input. */
export interface StrideAnchors {
  readonly stride: number;
  readonly anchors: readonly Size[];
}

/** Anchors of networks of three and of four strides. */
export type AnchorTable = readonly (readonly StrideAnchors[])[];

/** yolov5, models/hub/yolov5s6.yaml; yolov7, cfg/deploy/yolov7-w6.yaml. */
const FOUR_STRIDES: readonly StrideAnchors[] = [
  anchorsOf(8, [19, 27, 44, 40, 38, 94]),
  anchorsOf(16, [96, 68, 86, 152, 180, 137]),
  anchorsOf(32, [140, 301, 303, 264, 238, 542]),
  anchorsOf(64, [436, 615, 739, 380, 925, 792]),
];

/** yolov5, models/yolov5s.yaml. YOLOv7-tiny and YOLOv3 have the same. */
export const YOLOV5_ANCHORS: AnchorTable = [
  [
    anchorsOf(8, [10, 13, 16, 30, 33, 23]),
    anchorsOf(16, [30, 61, 62, 45, 59, 119]),
    anchorsOf(32, [116, 90, 156, 198, 373, 326]),
  ],
  FOUR_STRIDES,
];

/** yolov7, cfg/deploy/yolov7.yaml and yolov7x.yaml. */
export const YOLOV7_ANCHORS: AnchorTable = [
  [
    anchorsOf(8, [12, 16, 19, 36, 40, 28]),
    anchorsOf(16, [36, 75, 76, 55, 72, 146]),
    anchorsOf(32, [142, 110, 192, 243, 459, 401]),
  ],
  FOUR_STRIDES,
];

function anchorsOf(stride: number, sides: readonly number[]): StrideAnchors {
  const anchors = sides.flatMap((width, at) => {
    const height = sides[at + 1];
    return at % 2 === 0 && height !== undefined ? [{ width, height }] : [];
  });
  return { stride, anchors };
}
