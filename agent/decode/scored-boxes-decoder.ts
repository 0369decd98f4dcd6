/**
 * Boxes with a score for each class, not suppressed: boxes [1, N, 4] and scores [1, N, classes].
 *
 * - UltraFace: `scores` [1, N, 2] after softmax, where class 0 is the background, `boxes` as corners from 0 to 1.
 *   Source: Ultra-Light-Fast-Generic-Face-Detector-1MB, vision/ssd.
 * - DETR and RT-DETR: `logits` [1, N, classes (+ 1)] and `pred_boxes` [1, N, 4] as centre and size from 0 to 1. Nothing has to
 *   be suppressed. DETR's last class is the background, and its scores compete; RT-DETR's don't.
 *   Source: Hugging Face transformers, models/detr and models/rt_detr, post_process_object_detection.
 */
import { choice, map, orDefault, text } from '../../shared/rules/index.js';
import { logistic } from './activations.js';
import type { BoxDecoder, DecodeContext, NetworkFacts, PixelRule } from './box-decoder.js';
import { boxOfCorners, IMAGENET_PIXELS, NMS_IOU, ratio, THRESHOLD, ULTRAFACE_PIXELS } from './box-decoder.js';
import type { Candidate } from './detection.js';

export interface ScoredBoxesSpec {
  readonly kind: 'scored-boxes';
  readonly boxes: string;
  readonly scores: string;
  /** How a box is written; from 0 to 1. */
  readonly form: 'corners' | 'centre';
  /** What the scores still need. */
  readonly activation: 'none' | 'softmax' | 'sigmoid';
  /** Class that means that there is nothing, and isn't counted. */
  readonly background: 'first' | 'last' | 'none';
  readonly threshold: number;
  readonly nmsIou?: number | undefined;
}

export const scoredBoxesDecoder: BoxDecoder<ScoredBoxesSpec> = {
  kind: 'scored-boxes',
  reads: 'boxes [1, N, 4] and scores [1, N, classes] of UltraFace, DETR and RT-DETR',
  schema: map({
    kind: choice(['scored-boxes']),
    boxes: text(),
    scores: text(),
    form: choice(['corners', 'centre']),
    activation: choice(['none', 'softmax', 'sigmoid']),
    background: choice(['first', 'last', 'none']),
    threshold: ratio,
    nmsIou: orDefault(ratio, undefined),
  }),
  recognise,
  pixels,
  decode,
};

function recognise({ outputs, labels, isTold }: NetworkFacts): ScoredBoxesSpec | undefined {
  const [first, second, ...others] = outputs.filter(({ shape }) => shape.length === 3);
  if (first === undefined || second === undefined || others.length > 0) return undefined;
  const isBoxes = ({ name, shape }: typeof first) => shape[2] === 4 && /box/i.test(name);
  const boxes = [first, second].find(isBoxes);
  const scores = [second, first].find((output) => output !== boxes);
  if (boxes === undefined || scores === undefined || boxes.shape[1] !== scores.shape[1]) return undefined;
  const spec = {
    kind: 'scored-boxes',
    boxes: boxes.name,
    scores: scores.name,
    threshold: THRESHOLD,
  } as const;
  const classes = scores.shape[2] ?? 0;
  if (/^pred_boxes$/.test(boxes.name) && /logits/.test(scores.name)) {
    // DETR has a class more than labels, and 100 boxes.
    const competes = labels === undefined ? (boxes.shape[1] ?? 0) <= 100 : classes === labels + 1;
    return competes
      ? { ...spec, form: 'centre', activation: 'softmax', background: 'last' }
      : { ...spec, form: 'centre', activation: 'sigmoid', background: 'none' };
  }
  if (classes !== 2 && !isTold) return undefined;
  return { ...spec, form: 'corners', activation: 'none', background: 'first', nmsIou: NMS_IOU };
}

/** Source: Hugging Face transformers, the image processors of DETR and RT-DETR. */
function pixels(facts: NetworkFacts): PixelRule {
  const spec = recognise(facts);
  if (spec?.form === 'corners') return ULTRAFACE_PIXELS;
  return spec?.background === 'last' ? { by: 'DETR', ...IMAGENET_PIXELS } : { by: 'RT-DETR', scale: 1 / 255 };
}

function decode(spec: ScoredBoxesSpec, { read, threshold }: DecodeContext): readonly Candidate[] {
  const [boxes, scores] = [read(spec.boxes), read(spec.scores)];
  const count = scores.shape.at(-1) ?? 0;
  if (boxes.shape.at(-1) !== 4 || boxes.values.length / 4 !== scores.values.length / count) {
    throw new RangeError(
      `Cannot decode outputs "${spec.boxes}" [${boxes.shape.join(', ')}] and "${spec.scores}" [${scores.shape.join(', ')}]: ` +
        'expected four values a box, and as many boxes as rows of scores (model.yaml, decoder)',
    );
  }
  const [from, to] = [spec.background === 'first' ? 1 : 0, spec.background === 'last' ? count - 1 : count];
  const candidates: Candidate[] = [];
  for (let at = 0; at * 4 < boxes.values.length; at += 1) {
    const row = scores.values.subarray(at * count, (at + 1) * count);
    let best = from;
    for (let value = from; value < to; value += 1) if ((row[value] ?? 0) > (row[best] ?? 0)) best = value;
    const confidence = activated(row, best, spec.activation);
    if (!(confidence > threshold)) continue;
    const [a = 0, b = 0, c = 0, d = 0] = boxes.values.subarray(at * 4, at * 4 + 4);
    const box =
      spec.form === 'centre'
        ? { centerX: a, centerY: b, width: c, height: d }
        : boxOfCorners([a, b, c, d], { width: 1, height: 1 });
    candidates.push({ box, classId: best - from, confidence });
  }
  return candidates;
}

function activated(row: Float32Array, at: number, activation: ScoredBoxesSpec['activation']): number {
  const score = row[at] ?? 0;
  if (activation === 'none') return score;
  if (activation === 'sigmoid') return logistic(score);
  return 1 / row.reduce((sum, other) => sum + Math.exp(other - score), 0);
}
