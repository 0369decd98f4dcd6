/** Decodes boxes with the decoder of their kind. */
import type { DecodeContext } from './box-decoder.js';
import type { AnyBoxSpec } from './box-decoders.js';
import { boxListsDecoder } from './box-lists-decoder.js';
import { boxRowsDecoder } from './box-rows-decoder.js';
import type { Candidate } from './detection.js';
import { dflMapsDecoder } from './dfl-maps-decoder.js';
import { fastestdetDecoder } from './fastestdet-decoder.js';
import { heatMapDecoder } from './heat-map-decoder.js';
import { priorsDecoder } from './priors-decoder.js';
import { scoredBoxesDecoder } from './scored-boxes-decoder.js';
import { textMapDecoder } from './text-map-decoder.js';
import { yoloDecoder } from './yolo-decoder.js';
import { yoloMapsDecoder } from './yolo-maps-decoder.js';
import { yoloxDecoder } from './yolox-decoder.js';
import { yunetDecoder } from './yunet-decoder.js';

export function decodeBoxes(spec: AnyBoxSpec, context: DecodeContext): readonly Candidate[] {
  switch (spec.kind) {
    case 'yolo':
      return yoloDecoder.decode(spec, context);
    case 'yolox':
      return yoloxDecoder.decode(spec, context);
    case 'yolo-maps':
      return yoloMapsDecoder.decode(spec, context);
    case 'dfl-maps':
      return dflMapsDecoder.decode(spec, context);
    case 'priors':
      return priorsDecoder.decode(spec, context);
    case 'yunet':
      return yunetDecoder.decode(spec, context);
    case 'heat-map':
      return heatMapDecoder.decode(spec, context);
    case 'fastestdet':
      return fastestdetDecoder.decode(spec, context);
    case 'text-map':
      return textMapDecoder.decode(spec, context);
    case 'box-rows':
      return boxRowsDecoder.decode(spec, context);
    case 'box-lists':
      return boxListsDecoder.decode(spec, context);
    case 'scored-boxes':
      return scoredBoxesDecoder.decode(spec, context);
  }
}
