/**
 * Boxes that the network has suppressed itself, with a list of boxes, one of confidences and one of classes.
 *
 * - TensorFlow's object detection: `detection_boxes` [1, N, 4] as top, left, bottom, right from 0 to 1, `detection_scores` and
 *   `detection_classes` [1, N] that begin at 1. Source: TensorFlow models, research/object_detection/exporter.py.
 * - torchvision: `boxes` [N, 4] as left, top, right, bottom in pixels of the input, `labels` [N] that begin at 1, `scores` [N].
 * - MMDeploy: `dets` [1, N, 5], corners and confidence in pixels, `labels` [1, N] from 0.
 */
import { choice, flag, map, text, wholeNumber } from '../../shared/rules/index.js';
import type { BoxDecoder, DecodeContext, NetworkFacts, OutputShape } from './box-decoder.js';
import { boxOfCorners, ratio, THRESHOLD } from './box-decoder.js';
import type { Candidate } from './detection.js';

export interface BoxListsSpec {
  readonly kind: 'box-lists';
  readonly boxes: string;
  /** The same as `boxes` where the confidence is each box's fifth value. */
  readonly scores: string;
  readonly labels: string;
  /** Order of a box's sides: left, top, right, bottom, or top, left, bottom, right. */
  readonly order: 'ltrb' | 'tlbr';
  /** Whether sides are from 0 to 1; else they are in pixels of the input. */
  readonly relative: boolean;
  /** Number that the first class has. */
  readonly firstClass: number;
  readonly threshold: number;
}

export const boxListsDecoder: BoxDecoder<BoxListsSpec> = {
  kind: 'box-lists',
  reads: 'boxes, confidences and classes as lists, of TensorFlow, torchvision and MMDeploy',
  schema: map({
    kind: choice(['box-lists']),
    boxes: text(),
    scores: text(),
    labels: text(),
    order: choice(['ltrb', 'tlbr']),
    relative: flag(),
    firstClass: wholeNumber(0, 1000),
    threshold: ratio,
  }),
  recognise,
  decode,
};

function recognise({ outputs }: NetworkFacts): BoxListsSpec | undefined {
  const named = (pattern: RegExp, width?: number): OutputShape | undefined =>
    outputs.find(({ name, shape }) => pattern.test(name) && (width === undefined || shape.at(-1) === width));
  const found = (boxes: OutputShape | undefined, scores = boxes, labels?: OutputShape) =>
    boxes === undefined || scores === undefined || labels === undefined
      ? undefined
      : ({
          kind: 'box-lists',
          boxes: boxes.name,
          scores: scores.name,
          labels: labels.name,
          threshold: THRESHOLD,
        } as const);
  const tensorflow = found(
    named(/^detection_boxes/, 4),
    named(/^detection_scores/),
    named(/^detection_classes/),
  );
  if (tensorflow !== undefined) return { ...tensorflow, order: 'tlbr', relative: true, firstClass: 1 };
  const deployed = found(named(/^dets$/, 5), undefined, named(/^labels$/));
  if (deployed !== undefined) return { ...deployed, order: 'ltrb', relative: false, firstClass: 0 };
  const torch = found(named(/^boxes$/, 4), named(/^scores$/), named(/^labels$/));
  if (torch === undefined) return undefined;
  return { ...torch, order: 'ltrb', relative: false, firstClass: 1 };
}

function decode(spec: BoxListsSpec, { read, width, height, threshold }: DecodeContext): readonly Candidate[] {
  const boxes = read(spec.boxes);
  const [scores, labels] = [read(spec.scores).values, read(spec.labels).values];
  const count = boxes.shape.at(-1) ?? 4;
  const isOwn = spec.scores === spec.boxes;
  if (count < (isOwn ? 5 : 4)) {
    throw new RangeError(
      `Cannot decode output "${spec.boxes}": its shape is [${boxes.shape.join(', ')}], expected ${isOwn ? 5 : 4} values a box (model.yaml, decoder)`,
    );
  }
  const unit = spec.relative ? { width: 1, height: 1 } : { width, height };
  const candidates: Candidate[] = [];
  for (let at = 0; (at + 1) * count <= boxes.values.length && at < labels.length; at += 1) {
    const [a = 0, b = 0, c = 0, d = 0, own = 0] = boxes.values.subarray(at * count, (at + 1) * count);
    const confidence = isOwn ? own : (scores[at] ?? 0);
    const classId = Math.round(labels[at] ?? 0) - spec.firstClass;
    if (!(confidence > threshold) || !(classId >= 0)) continue;
    const corners = spec.order === 'ltrb' ? ([a, b, c, d] as const) : ([b, a, d, c] as const);
    candidates.push({ box: boxOfCorners(corners, unit), classId, confidence });
  }
  return candidates;
}
