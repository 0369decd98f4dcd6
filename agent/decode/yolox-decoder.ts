/**
 * YOLOX without its grid: [1, cells, 5 + classes], cells of all strides one after the other, row by row. Centres are offsets
 * from the cell in strides, sizes are logarithms of strides; objectness and classes are probabilities.
 * Source: YOLOX, demo/ONNXRuntime, demo_postprocess; yolox/data/data_augment.py, preproc.
 */
import { choice, list, map, text, wholeNumber } from '../../shared/rules/index.js';
import { bestClass } from './best-class.js';
import type { BoxDecoder, DecodeContext } from './box-decoder.js';
import {
  boxOfPixels,
  COCO_CLASSES,
  cellCount,
  gridOf,
  misfit,
  NMS_IOU,
  ratio,
  STRIDES,
  THRESHOLD,
} from './box-decoder.js';
import type { Candidate } from './detection.js';

export interface YoloxSpec {
  readonly kind: 'yolox';
  readonly output: string;
  readonly classes: number;
  readonly strides: readonly number[];
  readonly threshold: number;
  readonly nmsIou: number;
}

export const yoloxDecoder: BoxDecoder<YoloxSpec> = {
  kind: 'yolox',
  reads: '[1, cells, 5 + classes] of YOLOX, one box a cell of strides 8, 16 and 32',
  schema: map({
    kind: choice(['yolox']),
    output: text(),
    classes: wholeNumber(1),
    strides: list(wholeNumber(1, 1024), { least: 1, expected: 'a list of at least one stride' }),
    threshold: ratio,
    nmsIou: ratio,
  }),
  recognise: ({ outputs, labels, isTold, ...facts }) => {
    const [output, ...others] = outputs;
    const [batch, cells, values = 0] = output?.shape ?? [];
    const strides = [STRIDES, [...STRIDES, 64]].find((tried) => cells === cellCount(facts, tried));
    if (output === undefined || others.length > 0 || output.shape.length !== 3) return undefined;
    if (batch !== 1 || strides === undefined || values < 6) return undefined;
    // Rows of four strides are rather NanoDet's, unless there are as many values as YOLOX would have.
    const isSure = strides.length === 3 || values === 5 + (labels ?? COCO_CLASSES);
    if (!isSure && !isTold) return undefined;
    const spec = { kind: 'yolox', output: output.name, classes: values - 5, strides } as const;
    return { ...spec, threshold: THRESHOLD, nmsIou: NMS_IOU };
  },
  pixels: () => ({
    by: 'YOLOX',
    ...{ resize: 'letterbox', margin: { grey: 114, place: 'top-left' }, colorOrder: 'bgr', scale: 1 },
  }),
  decode,
};

function decode(spec: YoloxSpec, { read, width, height, threshold }: DecodeContext): readonly Candidate[] {
  const { shape, values } = read(spec.output);
  const { strides, classes } = spec;
  const count = 5 + classes;
  if (shape[1] !== cellCount({ width, height }, strides) || shape[2] !== count) {
    throw misfit(spec.output, shape, `[1, ${cellCount({ width, height }, strides)}, ${count}]`);
  }
  const candidates: Candidate[] = [];
  let start = 0;
  for (const stride of strides) {
    const { rows, cols } = gridOf({ width, height }, stride);
    for (let cell = 0; cell < rows * cols; cell += 1, start += count) {
      const objectness = values[start + 4] ?? 0;
      if (!(objectness > threshold)) continue;
      const scores = values.subarray(start + 5, start + count);
      const { classId, score } = bestClass(classes, (at) => scores[at] ?? 0);
      const confidence = objectness * score;
      if (!(confidence > threshold)) continue;
      const [x = 0, y = 0, logWidth = 0, logHeight = 0] = values.subarray(start, start + 4);
      const box = {
        centerX: (x + (cell % cols)) * stride,
        centerY: (y + Math.floor(cell / cols)) * stride,
        width: Math.exp(logWidth) * stride,
        height: Math.exp(logHeight) * stride,
      };
      candidates.push({ box: boxOfPixels(box, { width, height }), classId, confidence });
    }
  }
  return candidates;
}
