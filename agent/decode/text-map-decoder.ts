/**
 * Differentiable Binarization (Liao et al. 2020), the detector of PP-OCR: a map of the probability that a cell is in the
 * middle part of a line of text, [1, 1, rows, cols].
 *
 * 1. Cells above a probability that touch at sides or corners are a line of text.
 * 2. Its box is the smallest rectangle around its cells, at any angle. Boxes that are thinner than some cells are left out.
 * 3. The confidence is the mean probability of the cells within the rectangle.
 * 4. Networks are trained with lines that were made thinner. So the rectangle grows on all sides, by area * unclip / perimeter.
 *
 * As in PaddleOCR a cell stands for its upper left corner. Other than there, a hole in a line is no line of its own.
 * Source: PaddleOCR, ppocr/postprocess/db_postprocess.py, DBPostProcess; tools/infer/utility.py.
 */
import { elementAt } from '../../shared/graph/index.js';
import { choice, map, number, text } from '../../shared/rules/index.js';
import type { BoxDecoder, DecodeContext, NetworkFacts, OutputValues } from './box-decoder.js';
import { IMAGENET_PIXELS, misfit, ratio } from './box-decoder.js';
import type { Box, Candidate, Corner } from './detection.js';
import { partsOf } from './mask-parts.js';
import { boundsOf, cornersOf } from './rotated-box.js';
import type { Rectangle } from './smallest-rectangle.js';
import { smallestRectangle } from './smallest-rectangle.js';

export interface TextMapSpec {
  readonly kind: 'text-map';
  readonly output: string;
  /** Least probability of a cell of text. */
  readonly cellThreshold: number;
  /** How far boxes grow, as a share of their area divided by their perimeter. */
  readonly unclip: number;
  /** Least mean probability of a box. */
  readonly threshold: number;
}

/** PaddleOCR's `det_db_thresh`, `det_db_box_thresh` and `det_db_unclip_ratio`. */
const DEFAULTS = { cellThreshold: 0.3, threshold: 0.6, unclip: 1.5 } as const;

/** Least side of a box before it grows, and after that, in cells. PaddleOCR's `min_size`. */
const [LEAST_SIDE, LEAST_GROWN] = [3, 5];

export const textMapDecoder: BoxDecoder<TextMapSpec> = {
  kind: 'text-map',
  reads: '[1, 1, height, width] of the detection of PP-OCR',
  schema: map({
    kind: choice(['text-map']),
    output: text(),
    cellThreshold: ratio,
    unclip: number('a number from 0 to 10', (value) => value >= 0 && value <= 10),
    threshold: ratio,
  }),
  recognise,
  // PaddleOCR takes the mean and deviation of red for blue, and a size of its own for each picture.
  pixels: () => ({
    by: 'PP-OCR',
    ...{ resize: 'letterbox', margin: { grey: 0, place: 'top-left' }, colorOrder: 'bgr' },
    ...IMAGENET_PIXELS,
  }),
  decode,
};

/** One plane of the input's size. Other networks have that, too, so the file and the last operators have to be PaddleOCR's. */
function recognise({ outputs, width, height, ...facts }: NetworkFacts): TextMapSpec | undefined {
  const [output, ...others] = outputs;
  const isAlone = output !== undefined && others.length === 0;
  if (!isAlone || output.shape.join() !== [1, 1, height, width].join()) return undefined;
  const isSure = facts.isPaddle === true && endsAsDb(facts.trailOf(output.name));
  return isSure || facts.isTold ? { kind: 'text-map', output: output.name, ...DEFAULTS } : undefined;
}

/** The head enlarges its map twice by transposed convolutions. Source: ppocr/modeling/heads/det_db_head.py, Head. */
function endsAsDb([last, ...before]: readonly string[]): boolean {
  const [first, second] = before.filter((op) => op !== 'Relu' && op !== 'BatchNormalization' && op !== 'Add');
  return last === 'Sigmoid' && first === 'ConvTranspose' && second === 'ConvTranspose';
}

function decode(spec: TextMapSpec, { read, threshold }: DecodeContext): readonly Candidate[] {
  const { shape, values } = read(spec.output);
  const [batch, planes, rows = 0, cols = 0] = shape;
  if (shape.length !== 4 || batch !== 1 || planes !== 1)
    throw misfit(spec.output, shape, '[1, 1, rows, cols]');
  const cells = Uint8Array.from(values, (value) => (value > spec.cellThreshold ? 1 : 0));
  const candidates: Candidate[] = [];
  for (const part of partsOf({ rows, cols, cells }, 'corners')) {
    const rectangle = smallestRectangle(rowEnds(part, cols));
    if (shortSide(rectangle.box) < LEAST_SIDE) continue;
    const confidence = meanWithin(rectangle, { shape, values });
    const box = grow(rectangle.box, spec.unclip);
    if (!(confidence > threshold) || shortSide(box) < LEAST_GROWN) continue;
    const corners = cornersOf(box, rectangle.angle).map(({ x, y }) => ({ x: x / cols, y: y / rows }));
    candidates.push({ box: boundsOf(corners), corners, classId: 0, confidence });
  }
  return candidates;
}

function shortSide({ width, height }: Box): number {
  return Math.min(width, height);
}

function grow(box: Box, unclip: number): Box {
  const { width, height } = box;
  const by = (width * height * unclip) / (2 * (width + height));
  return { ...box, width: width + 2 * by, height: height + 2 * by };
}

/** The first and the last cell of each row of a part: all that its hull depends on. */
function rowEnds(part: readonly number[], cols: number): readonly Corner[] {
  const ends = new Map<number, { first: number; last: number }>();
  for (const cell of part) {
    const [row, col] = [Math.floor(cell / cols), cell % cols];
    const known = ends.get(row);
    if (known === undefined) ends.set(row, { first: col, last: col });
    else if (col < known.first) known.first = col;
    else if (col > known.last) known.last = col;
  }
  return [...ends].flatMap(([y, { first, last }]) =>
    first === last
      ? [{ x: first, y }]
      : [
          { x: first, y },
          { x: last, y },
        ],
  );
}

/** What cells may be outside by, for rounding. */
const ROUNDING = 1e-6;

/** Mean value of the cells whose middle is within a rectangle. */
function meanWithin({ box, angle }: Rectangle, { shape, values }: OutputValues): number {
  const [, , rows = 0, cols = 0] = shape;
  const { centerX, centerY, width, height } = boundsOf(cornersOf(box, angle));
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [top, bottom] = spanOf(centerY, height, rows);
  const [left, right] = spanOf(centerX, width, cols);
  let [sum, count] = [0, 0];
  for (let y = top; y <= bottom; y += 1)
    for (let x = left; x <= right; x += 1) {
      const [along, across] = [
        (x - box.centerX) * cos + (y - box.centerY) * sin,
        (y - box.centerY) * cos - (x - box.centerX) * sin,
      ];
      if (Math.abs(along) > box.width / 2 + ROUNDING || Math.abs(across) > box.height / 2 + ROUNDING)
        continue;
      sum += elementAt(values, y * cols + x);
      count += 1;
    }
  return sum / count;
}

/** The first and the last whole number of a span, within a map. */
function spanOf(middle: number, length: number, cells: number): readonly [number, number] {
  const [from, to] = [Math.ceil(middle - length / 2 - ROUNDING), Math.floor(middle + length / 2 + ROUNDING)];
  return [Math.max(0, from), Math.min(cells - 1, to)];
}
