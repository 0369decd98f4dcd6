/**
 * Finds the outputs of networks with priors.
 *
 * - RetinaFace, and slim and RFB of Face-Detector-1MB: three outputs of as many rows as their priors. Source:
 *   Pytorch_Retinaface and Face-Detector-1MB-with-landmark, models and convert_to_onnx.py.
 * - UltraFace without its postprocessing: boxes that nothing but convolutions made, and scores, of the same priors as slim.
 * - SSD300: an output named loc, and one of 20 or 80 classes and the background. Unnamed outputs could be boxes that the
 *   network has decoded, and other numbers of classes are of other priors, so there the decoder has to be named.
 */
import type { NetworkFacts } from './box-decoder.js';
import { NMS_IOU, THRESHOLD } from './box-decoder.js';
import type { PriorLevel } from './prior-rules.js';
import {
  priorCount,
  RETINAFACE_PRIORS,
  SLIM_PRIORS,
  SSD_COCO_PRIORS,
  SSD_VOC_PRIORS,
} from './prior-rules.js';
import type { PriorsSpec } from './priors-spec.js';

/** Variances of all these networks. */
const VARIANCES = { centre: 0.1, size: 0.2 } as const;

/** Least confidence and overlap with which faces are shown. Source: Pytorch_Retinaface, detect.py. */
const FACES = { threshold: 0.6, nmsIou: 0.4 } as const;

/** Width and height of SSD300's input. */
const SSD_SIDE = 300;

export function findPriors(facts: NetworkFacts): PriorsSpec | undefined {
  return facesOf(facts) ?? ssdOf(facts);
}

function facesOf(facts: NetworkFacts): PriorsSpec | undefined {
  const { outputs, labels = 1, isActivated, isDirect } = facts;
  const ofWidth = (width: number) => outputs.find(({ shape }) => shape[2] === width);
  const [boxes, scores, landmarks] = [ofWidth(4), ofWidth(2), ofWidth(10)];
  const levels = levelsOf(facts, [RETINAFACE_PRIORS, SLIM_PRIORS]);
  if (boxes === undefined || scores === undefined || levels === undefined || labels !== 1) return undefined;
  // Without landmarks the network may have decoded its boxes.
  const isKnown = landmarks === undefined ? isDirect(boxes.name) : true;
  if (outputs.length !== (landmarks === undefined ? 2 : 3) || !isKnown) return undefined;
  const landmarked = landmarks === undefined ? {} : { landmarks: landmarks.name };
  const names = { boxes: boxes.name, scores: scores.name, ...landmarked };
  const activated = isActivated(scores.name);
  const rule = { classes: 1, activated, clip: false, variances: VARIANCES, levels } as const;
  return { kind: 'priors', ...names, ...rule, ...FACES };
}

function ssdOf(facts: NetworkFacts): PriorsSpec | undefined {
  const { outputs, labels, isTold, isActivated, ...size } = facts;
  const boxes = outputs.find(({ shape }) => shape[2] === 4);
  const scores = outputs.find((output) => output !== boxes);
  const classes = (scores?.shape[2] ?? 0) - 1;
  const levels = levelsOf(facts, [classes === 80 ? SSD_COCO_PRIORS : SSD_VOC_PRIORS]);
  if (boxes === undefined || scores === undefined || outputs.length !== 2) return undefined;
  if (levels === undefined || size.width !== SSD_SIDE || size.height !== SSD_SIDE) return undefined;
  const isKnown = /loc/i.test(boxes.name) && (classes === 20 || classes === 80);
  if (classes < 1 || classes !== (labels ?? classes) || !(isKnown || isTold)) return undefined;
  const activated = isActivated(scores.name);
  const rule = { classes, activated, clip: true, variances: VARIANCES, levels } as const;
  return {
    ...{ kind: 'priors', boxes: boxes.name, scores: scores.name, ...rule },
    ...{ threshold: THRESHOLD, nmsIou: NMS_IOU },
  };
}

/** The priors of which there are as many as each output has rows. */
function levelsOf(
  facts: NetworkFacts,
  tried: readonly (readonly PriorLevel[])[],
): readonly PriorLevel[] | undefined {
  return tried.find((levels) => {
    const count = priorCount(facts, levels);
    return facts.outputs.every(({ shape }) => shape.length === 3 && shape[0] === 1 && shape[1] === count);
  });
}
