/** All decoders of boxes. The first that recognises a network's outputs decodes it. docs/decoders.md says the same for people. */
import type { BoxDecoder, BoxSpec, NetworkFacts, PixelRule } from './box-decoder.js';
import type { BoxListsSpec } from './box-lists-decoder.js';
import { boxListsDecoder } from './box-lists-decoder.js';
import type { BoxRowsSpec } from './box-rows-decoder.js';
import { boxRowsDecoder } from './box-rows-decoder.js';
import { dflMapsDecoder } from './dfl-maps-decoder.js';
import type { DflMapsSpec } from './dfl-maps-spec.js';
import type { FastestdetSpec } from './fastestdet-decoder.js';
import { fastestdetDecoder } from './fastestdet-decoder.js';
import type { HeatMapSpec } from './heat-map-decoder.js';
import { heatMapDecoder } from './heat-map-decoder.js';
import { priorsDecoder } from './priors-decoder.js';
import type { PriorsSpec } from './priors-spec.js';
import type { ScoredBoxesSpec } from './scored-boxes-decoder.js';
import { scoredBoxesDecoder } from './scored-boxes-decoder.js';
import type { TextMapSpec } from './text-map-decoder.js';
import { textMapDecoder } from './text-map-decoder.js';
import { yoloDecoder } from './yolo-decoder.js';
import { yoloMapsDecoder, yolov7Maps } from './yolo-maps-decoder.js';
import type { YoloMapsSpec } from './yolo-maps-spec.js';
import type { YoloSpec } from './yolo-spec.js';
import type { YoloxSpec } from './yolox-decoder.js';
import { yoloxDecoder } from './yolox-decoder.js';
import type { YunetSpec } from './yunet-decoder.js';
import { yunetDecoder } from './yunet-decoder.js';

export type AnyBoxSpec =
  | YoloSpec
  | YoloxSpec
  | YoloMapsSpec
  | DflMapsSpec
  | PriorsSpec
  | YunetSpec
  | HeatMapSpec
  | FastestdetSpec
  | TextMapSpec
  | BoxRowsSpec
  | BoxListsSpec
  | ScoredBoxesSpec;

/** What a table of several kinds has of each. */
type Row = Pick<BoxDecoder<BoxSpec>, 'kind' | 'reads' | 'pixels'> & {
  readonly recognise: (facts: NetworkFacts) => AnyBoxSpec | undefined;
};

export const BOX_DECODERS: readonly Row[] = [
  yoloDecoder,
  dflMapsDecoder,
  yoloxDecoder,
  yoloMapsDecoder,
  yolov7Maps,
  boxRowsDecoder,
  boxListsDecoder,
  priorsDecoder,
  yunetDecoder,
  heatMapDecoder,
  fastestdetDecoder,
  textMapDecoder,
  scoredBoxesDecoder,
];

/** How a network that a decoder reads wants its pixels, where that is known. */
export function pixelsOf(kind: string, facts: NetworkFacts): PixelRule | undefined {
  return BOX_DECODERS.find((row) => row.kind === kind)?.pixels?.(facts);
}
