/** What model.yaml says of a YOLO head that is decoded inside the network. */
import type { Rule } from '../../shared/rules/index.js';
import { choice, flag, map, orDefault, text, wholeNumber } from '../../shared/rules/index.js';
import { ratio } from './box-decoder.js';

/** Numbers of a keypoint: x, y and visibility. */
export const POINT_VALUES = 3;

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
  /** Output of the prototypes of masks, [1, count, rows, cols]. A cell's last values are their coefficients. */
  readonly masks?: string | undefined;
  readonly threshold: number;
  readonly nmsIou: number;
}

export const yoloSchema: Rule<YoloSpec> = map({
  kind: choice(['yolo']),
  output: text(),
  cells: choice(['columns', 'rows']),
  objectness: flag(),
  classes: wholeNumber(1),
  keypoints: wholeNumber(0),
  rotated: orDefault(flag(), false),
  masks: orDefault(text(), undefined),
  threshold: ratio,
  nmsIou: ratio,
});
