/**
 * Networks without anchors that are trained with the distribution focal loss (Li et al. 2020, Generalized Focal Loss). A cell
 * has a score for each class. The distances from its centre to the left, top, right and bottom side are distributions:
 *
 * - distance = sum of bin * softmax(values of the side)[bin], in strides; centre = (cell + offset) * stride.
 *
 * `find-dfl-maps.ts` says which networks these are, and how their outputs are told apart.
 */
import { elementAt } from '../../shared/graph/index.js';
import { logistic, softmax } from './activations.js';
import { bestClass } from './best-class.js';
import type { BoxDecoder, DecodeContext, NetworkFacts, PixelRule } from './box-decoder.js';
import { boxOfCorners, cellCount, gridOf, IMAGENET_PIXELS, YOLO_PIXELS } from './box-decoder.js';
import type { CellValues } from './cell-values.js';
import { readCells } from './cell-values.js';
import type { Candidate } from './detection.js';
import type { DflMap, DflMapsSpec } from './dfl-maps-spec.js';
import { dflMapsSchema } from './dfl-maps-spec.js';
import { findDflMaps } from './find-dfl-maps.js';

export const dflMapsDecoder: BoxDecoder<DflMapsSpec> = {
  kind: 'dfl-maps',
  reads:
    'scores and distributions of distances of NanoDet, PicoDet, or YOLOv6, v8 and v9 without their last part; ' +
    'labels have to tell the number of classes unless there are 80',
  schema: dflMapsSchema,
  recognise: findDflMaps,
  pixels,
  decode: (spec, context) => spec.maps.flatMap((one) => decodeMap(spec, { one, context })),
};

/**
 * Maps are those of YOLO, and rows of four strides in a group of scores and one of boxes those of PicoDet.
 * Sources: nanodet, config; PaddleDetection, deploy/third_engine.
 */
function pixels(facts: NetworkFacts): PixelRule {
  const { outputs } = facts;
  if (outputs.some(({ shape }) => shape.length === 4)) return YOLO_PIXELS;
  const isPicoDet = outputs.length === 8 && !outputs.some(({ name }) => /stride/.test(name));
  if (isPicoDet) return { by: 'PicoDet', ...IMAGENET_PIXELS };
  // NanoDet-plus stretches the image; those before it kept its shape, on black.
  const isPlus = findDflMaps(facts)?.maps[0]?.strides.length === 4;
  return {
    by: 'NanoDet',
    ...(isPlus ? { resize: 'stretch' } : { resize: 'letterbox', margin: { grey: 0, place: 'centre' } }),
    ...{ colorOrder: 'bgr', scale: 1, mean: [103.53, 116.28, 123.675], std: [57.375, 57.12, 58.395] },
  };
}

interface MapContext {
  readonly one: DflMap;
  readonly context: DecodeContext;
}

/** The best class of each cell above the threshold. Cells below it make no objects. */
function decodeMap(spec: DflMapsSpec, { one, context }: MapContext): readonly Candidate[] {
  const { classes, bins, activated, cellOffset } = spec;
  const { scoreOf, binOf } = readersOf(spec, { one, context });
  const activate = activated ? (score: number) => score : logistic;
  const candidates: Candidate[] = [];
  let start = 0;
  for (const stride of one.strides) {
    const { rows, cols } = gridOf(context, stride);
    for (let cell = 0; cell < rows * cols; cell += 1) {
      const { classId, score } = bestClass(classes, (value) => scoreOf(start + cell, value));
      const confidence = activate(score);
      if (!(confidence > context.threshold)) continue;
      const [x, y] = [((cell % cols) + cellOffset) * stride, (Math.floor(cell / cols) + cellOffset) * stride];
      const side = (at: number) => stride * distanceOf(bins, (bin) => binOf(start + cell, at * bins + bin));
      const box = boxOfCorners([x - side(0), y - side(1), x + side(2), y + side(3)], context);
      candidates.push({ box, classId, confidence });
    }
    start += rows * cols;
  }
  return candidates;
}

/** The distance that a distribution expects, or the value itself where there is no distribution. */
function distanceOf(bins: number, read: (bin: number) => number): number {
  const values = Array.from({ length: bins }, (_, bin) => read(bin));
  if (bins === 1) return elementAt(values, 0);
  return softmax(values).reduce((sum, share, bin) => sum + share * bin, 0);
}

/** Readers of a cell's scores and of the values of its box. */
function readersOf(
  { classes, bins, first }: DflMapsSpec,
  { one, context }: MapContext,
): { readonly scoreOf: CellValues['at']; readonly binOf: CellValues['at'] } {
  const values = 4 * bins;
  const cells = cellCount(context, one.strides);
  const checked = (output: string, count: number) => readCells(context, { output, cells, count }).at;
  if (one.scores !== one.boxes)
    return { scoreOf: checked(one.scores, classes), binOf: checked(one.boxes, values) };
  const at = checked(one.scores, classes + values);
  const [scoresAt, boxesAt] = first === 'scores' ? [0, classes] : [values, 0];
  return {
    scoreOf: (cell, value) => at(cell, scoresAt + value),
    binOf: (cell, value) => at(cell, boxesAt + value),
  };
}
