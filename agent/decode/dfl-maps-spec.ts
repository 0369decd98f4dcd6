/** What model.yaml says of a network whose boxes are distances from the cell's centre to the sides. */
import type { Rule } from '../../shared/rules/index.js';
import { choice, flag, list, map, numberWithin, text, wholeNumber } from '../../shared/rules/index.js';
import { ratio } from './box-decoder.js';

export interface DflMap {
  readonly scores: string;
  /** The same as `scores` where both are in one output. */
  readonly boxes: string;
  /** Strides whose cells follow one another in these outputs. */
  readonly strides: readonly number[];
}

export interface DflMapsSpec {
  readonly kind: 'dfl-maps';
  readonly classes: number;
  /** Values of each side's distribution: distances of 0, 1, 2 ... strides. Of 1 the value is the distance itself. */
  readonly bins: number;
  /** Whether classes or boxes come first where both are in one output. */
  readonly first: 'scores' | 'boxes';
  /** Place of a cell's centre, in strides from its corner. */
  readonly cellOffset: number;
  /** Whether scores are probabilities, not logits. */
  readonly activated: boolean;
  readonly maps: readonly DflMap[];
  readonly threshold: number;
  readonly nmsIou: number;
}

const strides = list(wholeNumber(1, 1024), { least: 1, expected: 'a list of at least one stride' });

export const dflMapsSchema: Rule<DflMapsSpec> = map({
  kind: choice(['dfl-maps']),
  classes: wholeNumber(1),
  bins: wholeNumber(1, 256),
  first: choice(['scores', 'boxes']),
  cellOffset: numberWithin(0, 1),
  activated: flag(),
  maps: list(map({ scores: text(), boxes: text(), strides }), {
    least: 1,
    expected: 'a list of at least one map',
  }),
  threshold: ratio,
  nmsIou: ratio,
});
