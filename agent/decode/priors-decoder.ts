/**
 * SSD and RetinaFace with priors outside the network: boxes [1, N, 4], scores [1, N, classes + 1] whose first class is the
 * background, and for RetinaFace five landmarks [1, N, 10]. Relative to the input, with variances v:
 *
 * - centre = prior's centre + box * v.centre * prior's size, size = prior's size * exp(box * v.size);
 * - landmark = prior's centre + value * v.centre * prior's size.
 *
 * The priors of a level follow one another row by row, those of one cell together.
 * Source: Pytorch_Retinaface, utils/box_utils.py and layers/functions/prior_box.py; ssd.pytorch, layers.
 */
import { softmax } from './activations.js';
import { bestClass } from './best-class.js';
import type { BoxDecoder, DecodeContext, NetworkFacts, PixelRule } from './box-decoder.js';
import { gridOf, ULTRAFACE_PIXELS } from './box-decoder.js';
import type { CellValues } from './cell-values.js';
import { readCells } from './cell-values.js';
import type { Box, Candidate, Point } from './detection.js';
import { findPriors } from './find-priors.js';
import { priorCount } from './prior-rules.js';
import type { PriorsSpec } from './priors-spec.js';
import { priorsSchema } from './priors-spec.js';

export const priorsDecoder: BoxDecoder<PriorsSpec> = {
  kind: 'priors',
  reads:
    'boxes [1, N, 4], scores [1, N, 2] and landmarks [1, N, 10] of RetinaFace, or boxes and scores [1, N, classes + 1] of ' +
    'SSD300, as many as there are priors',
  schema: priorsSchema,
  recognise: findPriors,
  pixels,
  decode,
};

/** Sources: Pytorch_Retinaface, detect.py; UltraFace, detect_imgs_onnx.py; ssd.pytorch, data/__init__.py, base_transform. */
function pixels(facts: NetworkFacts): PixelRule | undefined {
  const spec = findPriors(facts);
  if (spec === undefined) return undefined;
  if (spec.classes > 1) return { by: 'SSD', colorOrder: 'rgb', scale: 1, mean: [123, 117, 104] };
  if (spec.landmarks === undefined) return ULTRAFACE_PIXELS;
  return { by: 'RetinaFace', colorOrder: 'bgr', scale: 1, mean: [104, 117, 123] };
}

/** Numbers of the five landmarks of a face. */
const LANDMARK_VALUES = 10;

/** The best class of each prior above the threshold. */
function decode(spec: PriorsSpec, context: DecodeContext): readonly Candidate[] {
  const { classes, activated } = spec;
  const cells = priorCount(context, spec.levels);
  const boxes = readCells(context, { output: spec.boxes, cells, count: 4 });
  const scores = readCells(context, { output: spec.scores, cells, count: classes + 1 });
  const landmarks =
    spec.landmarks === undefined
      ? undefined
      : readCells(context, { output: spec.landmarks, cells, count: LANDMARK_VALUES });
  const candidates: Candidate[] = [];
  for (const [at, prior] of priorsOf(spec, context).entries()) {
    const given = Array.from({ length: classes + 1 }, (_, value) => scores.at(at, value));
    const shares = activated ? given : softmax(given);
    const { classId, score: confidence } = bestClass(classes, (value) => shares[value + 1] ?? 0);
    if (!(confidence > context.threshold)) continue;
    const box = boxOf(prior, { boxes, at, variances: spec.variances });
    const points =
      landmarks === undefined ? {} : { points: pointsOf(prior, { landmarks, at, spec, confidence }) };
    candidates.push({ box, classId, confidence, ...points });
  }
  return candidates;
}

/** Priors of all levels, relative to the input. */
function priorsOf({ levels, clip }: PriorsSpec, context: DecodeContext): readonly Box[] {
  const { width, height } = context;
  const kept = clip ? (value: number) => Math.min(1, Math.max(0, value)) : (value: number) => value;
  return levels.flatMap(({ step, sizes }) => {
    const { rows, cols } = gridOf(context, step);
    return Array.from({ length: rows * cols }, (_, cell) =>
      sizes.map((size) => ({
        centerX: kept((((cell % cols) + 0.5) * step) / width),
        centerY: kept(((Math.floor(cell / cols) + 0.5) * step) / height),
        width: kept(size.width / width),
        height: kept(size.height / height),
      })),
    ).flat();
  });
}

interface BoxValues {
  readonly boxes: CellValues;
  readonly at: number;
  readonly variances: PriorsSpec['variances'];
}

function boxOf(prior: Box, { boxes, at, variances }: BoxValues): Box {
  return {
    centerX: prior.centerX + boxes.at(at, 0) * variances.centre * prior.width,
    centerY: prior.centerY + boxes.at(at, 1) * variances.centre * prior.height,
    width: prior.width * Math.exp(boxes.at(at, 2) * variances.size),
    height: prior.height * Math.exp(boxes.at(at, 3) * variances.size),
  };
}

interface LandmarkValues {
  readonly landmarks: CellValues;
  readonly at: number;
  readonly spec: PriorsSpec;
  /** That of the face, since the network gives landmarks none. */
  readonly confidence: number;
}

function pointsOf(prior: Box, { landmarks, at, spec, confidence }: LandmarkValues): readonly Point[] {
  const { centre } = spec.variances;
  return Array.from({ length: LANDMARK_VALUES / 2 }, (_, point): Point => {
    return {
      x: prior.centerX + landmarks.at(at, 2 * point) * centre * prior.width,
      y: prior.centerY + landmarks.at(at, 2 * point + 1) * centre * prior.height,
      confidence,
    };
  });
}
