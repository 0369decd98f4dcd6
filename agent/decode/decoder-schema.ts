/** The part of model.yaml that says how outputs become findings. */
import type { ValueOf } from '../../shared/rules/index.js';
import { choice, flag, list, map, number, text, variant, wholeNumber } from '../../shared/rules/index.js';
import { ratio, sizeList } from './box-decoder.js';
import { boxListsDecoder } from './box-lists-decoder.js';
import { boxRowsDecoder } from './box-rows-decoder.js';
import { classMapDecoder } from './class-map-decoder.js';
import { dflMapsSchema } from './dfl-maps-spec.js';
import { fastestdetDecoder } from './fastestdet-decoder.js';
import { heatMapDecoder } from './heat-map-decoder.js';
import { imageDecoder } from './image-decoder.js';
import { priorsSchema } from './priors-spec.js';
import { scoredBoxesDecoder } from './scored-boxes-decoder.js';
import { textMapDecoder } from './text-map-decoder.js';
import { yoloMapsSchema } from './yolo-maps-spec.js';
import { yoloSchema } from './yolo-spec.js';
import { yoloxDecoder } from './yolox-decoder.js';
import { yunetDecoder } from './yunet-decoder.js';

const name = text('a name', (value) => value !== '');

const headSchema = map({
  kind: choice(['region', 'yolo']),
  output: name,
  classes: wholeNumber(1),
  anchors: sizeList('anchor'),
  scaleXY: number(),
  softmax: flag(),
  newCoords: flag(),
});

export const decoderSchema = variant('kind', {
  darknet: map({
    kind: choice(['darknet']),
    threshold: ratio,
    nmsIou: ratio,
    heads: list(headSchema, { least: 1, expected: 'a list of at least one head' }),
  }),
  yolo: yoloSchema,
  yolox: yoloxDecoder.schema,
  'box-rows': boxRowsDecoder.schema,
  'box-lists': boxListsDecoder.schema,
  'yolo-maps': yoloMapsSchema,
  'dfl-maps': dflMapsSchema,
  priors: priorsSchema,
  yunet: yunetDecoder.schema,
  'heat-map': heatMapDecoder.schema,
  fastestdet: fastestdetDecoder.schema,
  'text-map': textMapDecoder.schema,
  'scored-boxes': scoredBoxesDecoder.schema,
  'class-map': classMapDecoder.schema,
  image: imageDecoder.schema,
  classes: map({ kind: choice(['classes']), output: name, topK: wholeNumber(1), softmax: flag() }),
  raw: map({ kind: choice(['raw']) }),
});

export type Decoder = ValueOf<typeof decoderSchema>;

/** Whether a decoder gives boxes, so that there may be none of them. */
export function findsBoxes({ kind }: Decoder): boolean {
  return !['classes', 'class-map', 'image', 'raw'].includes(kind);
}
