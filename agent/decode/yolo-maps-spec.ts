/** What model.yaml says of a network whose outputs are raw maps with anchors. */
import type { Rule } from '../../shared/rules/index.js';
import { choice, flag, list, map, text, wholeNumber } from '../../shared/rules/index.js';
import { ratio, sizeList } from './box-decoder.js';
import type { StrideAnchors } from './yolo-anchors.js';

export interface AnchorMap extends StrideAnchors {
  readonly output: string;
}

export interface YoloMapsSpec {
  readonly kind: 'yolo-maps';
  readonly classes: number;
  /** Whether the network ends with the logistic function. */
  readonly activated: boolean;
  readonly maps: readonly AnchorMap[];
  readonly threshold: number;
  readonly nmsIou: number;
}

export const yoloMapsSchema: Rule<YoloMapsSpec> = map({
  kind: choice(['yolo-maps']),
  classes: wholeNumber(1),
  activated: flag(),
  maps: list(map({ output: text(), stride: wholeNumber(1, 1024), anchors: sizeList('anchor') }), {
    least: 1,
    expected: 'a list of at least one map',
  }),
  threshold: ratio,
  nmsIou: ratio,
});
