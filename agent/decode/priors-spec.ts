/** What model.yaml says of a network with priors. */
import type { Rule } from '../../shared/rules/index.js';
import {
  choice,
  flag,
  list,
  map,
  numberWithin,
  orDefault,
  text,
  wholeNumber,
} from '../../shared/rules/index.js';
import { ratio, sizeList } from './box-decoder.js';
import type { PriorLevel } from './prior-rules.js';

export interface PriorsSpec {
  readonly kind: 'priors';
  readonly boxes: string;
  readonly scores: string;
  readonly landmarks?: string | undefined;
  /** Number of classes without the background. */
  readonly classes: number;
  /** Whether scores are probabilities; else softmax is computed. */
  readonly activated: boolean;
  /** Whether sides and centres of priors are kept from 0 to 1. */
  readonly clip: boolean;
  readonly variances: { readonly centre: number; readonly size: number };
  readonly levels: readonly PriorLevel[];
  readonly threshold: number;
  readonly nmsIou: number;
}

const variance = numberWithin(0, 100);

export const priorsSchema: Rule<PriorsSpec> = map({
  kind: choice(['priors']),
  boxes: text(),
  scores: text(),
  landmarks: orDefault(text(), undefined),
  classes: wholeNumber(1),
  activated: flag(),
  clip: flag(),
  variances: map({ centre: variance, size: variance }),
  levels: list(map({ step: wholeNumber(1, 1024), sizes: sizeList('size') }), {
    least: 1,
    expected: 'a list of at least one level',
  }),
  threshold: ratio,
  nmsIou: ratio,
});
