/**
 * Boxes that the network has suppressed itself, one row each, with corners in pixels of its input.
 *
 * - YOLOv10, and ultralytics' exports with `nms=True`: [1, N, 6], left, top, right, bottom, confidence, class.
 * - PaddleDetection: [N, 6], class, confidence, left, top, right, bottom. A row of class -1 is empty.
 * - YOLOv7 with `--end2end`: [N, 7], image, left, top, right, bottom, class, confidence.
 */
import { choice, map, text, wholeNumber } from '../../shared/rules/index.js';
import type { BoxDecoder, DecodeContext, NetworkFacts } from './box-decoder.js';
import { boxOfCorners, ratio, THRESHOLD } from './box-decoder.js';
import type { Candidate } from './detection.js';

export interface BoxRowsSpec {
  readonly kind: 'box-rows';
  readonly output: string;
  /** Place of the left corner in a row; top, right and bottom follow. */
  readonly boxAt: number;
  readonly confidenceAt: number;
  readonly classAt: number;
  readonly threshold: number;
}

/** More rows than any network keeps: a head that isn't suppressed has more. */
const MOST_ROWS = 1000;

const place = wholeNumber(0, 64);

export const boxRowsDecoder: BoxDecoder<BoxRowsSpec> = {
  kind: 'box-rows',
  reads: '[1, N, 6] of YOLOv10 and of exports with NMS, [N, 6] of PaddleDetection, or [N, 7] of YOLOv7',
  schema: map({
    kind: choice(['box-rows']),
    output: text(),
    boxAt: place,
    confidenceAt: place,
    classAt: place,
    threshold: ratio,
  }),
  recognise,
  decode,
};

function recognise({ outputs, isTold }: NetworkFacts): BoxRowsSpec | undefined {
  const [output, second, ...others] = outputs;
  const shape = output?.shape ?? [];
  const [rows = 0, values = 0] = shape.slice(-2);
  const spec = (boxAt: number, confidenceAt: number, classAt: number): BoxRowsSpec => {
    return {
      ...{ kind: 'box-rows', output: output?.name ?? '', boxAt, confidenceAt, classAt },
      threshold: THRESHOLD,
    };
  };
  if (output === undefined || output.dtype !== 'float32' || others.length > 0) return undefined;
  // PaddleDetection's second output is the number of boxes.
  const hasCount = second !== undefined && second.dtype !== 'float32' && second.shape.length <= 1;
  if (shape.length === 2 && values === 6 && (hasCount || isTold)) return spec(2, 1, 0);
  if (shape.length === 2 && values === 7 && second === undefined) return spec(1, 6, 5);
  const isSelected = shape.length === 3 && shape[0] === 1 && rows <= MOST_ROWS && rows > 6;
  // Coefficients of masks may follow.
  return isSelected && (values === 6 || values === 38) ? spec(0, 4, 5) : undefined;
}

function decode(spec: BoxRowsSpec, { read, width, height, threshold }: DecodeContext): readonly Candidate[] {
  const { shape, values } = read(spec.output);
  const count = shape.at(-1) ?? 0;
  if (count <= Math.max(spec.boxAt + 3, spec.confidenceAt, spec.classAt)) {
    throw new RangeError(
      `Cannot decode output "${spec.output}": its shape is [${shape.join(', ')}], which is too few values a row (model.yaml, decoder)`,
    );
  }
  const candidates: Candidate[] = [];
  for (let start = 0; start + count <= values.length; start += count) {
    const at = (value: number) => values[start + value] ?? 0;
    const [confidence, classId] = [at(spec.confidenceAt), at(spec.classAt)];
    if (!(confidence > threshold) || !(classId >= 0)) continue;
    const corners = [0, 1, 2, 3].map((side) => at(spec.boxAt + side)) as [number, number, number, number];
    candidates.push({
      box: boxOfCorners(corners, { width, height }),
      classId: Math.round(classId),
      confidence,
    });
  }
  return candidates;
}
