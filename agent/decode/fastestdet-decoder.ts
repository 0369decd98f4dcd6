/**
 * FastestDet: one map [1, 5 + classes, rows, cols] of stride 16. A cell has its objectness, the offset of a box's centre, its
 * size, and probabilities of classes:
 *
 * - confidence = objectness^0.6 * class^0.4
 * - centre = (cell + tanh(offset)) / cells along the side, size = logistic(size), both relative to the input.
 *
 * Source: FastestDet, utils/tool.py, handle_preds; example/onnx-runtime/runtime.py; test.py; module/custom_layers.py.
 */
import { choice, map, text, wholeNumber } from '../../shared/rules/index.js';
import { logistic } from './activations.js';
import { bestClass } from './best-class.js';
import type { BoxDecoder, DecodeContext, NetworkFacts } from './box-decoder.js';
import { COCO_CLASSES, gridOf, NMS_IOU, ratio } from './box-decoder.js';
import { cellShape, readCells } from './cell-values.js';
import type { Candidate } from './detection.js';

export interface FastestdetSpec {
  readonly kind: 'fastestdet';
  readonly output: string;
  readonly classes: number;
  readonly threshold: number;
  readonly nmsIou: number;
}

/** Least confidence of FastestDet's test.py. */
const SHOWN = 0.65;

const STRIDE = 16;

/** Values of a cell before those of the classes. */
const BOX_VALUES = 5;

export const fastestdetDecoder: BoxDecoder<FastestdetSpec> = {
  kind: 'fastestdet',
  reads: '[1, 5 + classes, rows, cols] of FastestDet, at stride 16',
  schema: map({
    kind: choice(['fastestdet']),
    output: text(),
    classes: wholeNumber(1),
    threshold: ratio,
    nmsIou: ratio,
  }),
  recognise,
  pixels: () => ({ by: 'FastestDet', resize: 'stretch', colorOrder: 'bgr', scale: 1 / 255 }),
  decode,
};

/** One map of COCO's classes, or of as many as there are labels, whose three parts end as FastestDet's do. */
function recognise(facts: NetworkFacts): FastestdetSpec | undefined {
  const [output, ...others] = facts.outputs;
  if (output === undefined || others.length > 0 || output.shape.length !== 4) return undefined;
  const { rows, cols } = gridOf(facts, STRIDE);
  const { cells, count } = cellShape(output);
  const classes = count - BOX_VALUES;
  if (cells !== rows * cols || output.shape[3] !== cols || classes < 1) return undefined;
  const isSure =
    classes === (facts.labels ?? COCO_CLASSES) &&
    facts.endsOf(output.name).join() === 'sigmoid,convolution,softmax';
  if (!isSure && !facts.isTold) return undefined;
  return { kind: 'fastestdet', output: output.name, classes, threshold: SHOWN, nmsIou: NMS_IOU };
}

function decode({ output, classes }: FastestdetSpec, context: DecodeContext): readonly Candidate[] {
  const { rows, cols } = gridOf(context, STRIDE);
  const cells = rows * cols;
  const { at } = readCells(context, { output, cells, count: BOX_VALUES + classes });
  const candidates: Candidate[] = [];
  for (let cell = 0; cell < cells; cell += 1) {
    const { classId, score } = bestClass(classes, (one) => at(cell, BOX_VALUES + one));
    const confidence = at(cell, 0) ** 0.6 * score ** 0.4;
    if (!(confidence > context.threshold)) continue;
    const box = {
      centerX: ((cell % cols) + Math.tanh(at(cell, 1))) / cols,
      centerY: (Math.floor(cell / cols) + Math.tanh(at(cell, 2))) / rows,
      width: logistic(at(cell, 3)),
      height: logistic(at(cell, 4)),
    };
    candidates.push({ box, classId, confidence });
  }
  return candidates;
}
