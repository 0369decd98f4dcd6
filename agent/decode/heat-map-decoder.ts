/**
 * CenterNet: a map of probabilities for each class [1, classes, rows, cols] that has a peak where an object's centre is, its
 * size [1, 2, rows, cols] and where in the cell the centre is [1, 2, rows, cols], in cells:
 *
 * - a peak is as high as its eight neighbours or higher; centre = (cell + offset) * stride, size = size * stride.
 *
 * Nothing has to be suppressed. Of equal neighbours the first one is the peak; CenterNet takes all of them, and quantised
 * networks have many. Source: CenterNet, src/lib/models/decode.py, ctdet_decode and _nms; src/lib/opts.py;
 * src/lib/datasets/dataset/coco.py.
 */
import { choice, flag, map, orDefault, text, wholeNumber } from '../../shared/rules/index.js';
import { logistic } from './activations.js';
import type { BoxDecoder, DecodeContext, NetworkFacts, OutputShape } from './box-decoder.js';
import { boxOfPixels, gridOf, ratio } from './box-decoder.js';
import { cellShape, readCells } from './cell-values.js';
import type { Candidate } from './detection.js';

export interface HeatMapSpec {
  readonly kind: 'heat-map';
  readonly scores: string;
  readonly sizes: string;
  /** Without it, centres are in the middle of cells. */
  readonly offsets?: string | undefined;
  readonly classes: number;
  readonly stride: number;
  /** Whether scores are probabilities; else the logistic function is computed. */
  readonly activated: boolean;
  readonly threshold: number;
}

/** Least confidence and stride of CenterNet, `vis_thresh` and `down_ratio`. */
const [SHOWN, STRIDE] = [0.3, 4];

export const heatMapDecoder: BoxDecoder<HeatMapSpec> = {
  kind: 'heat-map',
  reads: 'hm [1, classes, rows, cols], wh and reg [1, 2, rows, cols] of CenterNet, at stride 4',
  schema: map({
    kind: choice(['heat-map']),
    scores: text(),
    sizes: text(),
    offsets: orDefault(text(), undefined),
    classes: wholeNumber(1),
    stride: wholeNumber(1, 1024),
    activated: flag(),
    threshold: ratio,
  }),
  recognise,
  pixels: () => ({
    by: 'CenterNet',
    ...{ resize: 'letterbox', margin: { grey: 0, place: 'centre' }, colorOrder: 'bgr', scale: 1 / 255 },
    ...{ mean: [0.408, 0.447, 0.47], std: [0.289, 0.274, 0.278] },
  }),
  decode,
};

/** Finds outputs by the names that CenterNet gives its heads. A named decoder also reads others, in that order. */
function recognise(facts: NetworkFacts): HeatMapSpec | undefined {
  const { outputs, labels, isTold, isActivated } = facts;
  const { rows, cols } = gridOf(facts, STRIDE);
  const headOf = (name: string, at: number): OutputShape | undefined => {
    const named = outputs.find((output) => output.name === name) ?? (isTold ? outputs[at] : undefined);
    const [batch, , height, width] = named?.shape ?? [];
    return batch === 1 && height === rows && width === cols ? named : undefined;
  };
  const [scores, sizes, offsets] = [headOf('hm', 0), headOf('wh', 1), headOf('reg', 2)];
  if (scores === undefined || sizes === undefined) return undefined;
  const classes = cellShape(scores).count;
  const isPair = [sizes, offsets].every((head) => head === undefined || cellShape(head).count === 2);
  if (!isPair || classes !== (labels ?? classes)) return undefined;
  return {
    ...{ kind: 'heat-map', scores: scores.name, sizes: sizes.name, classes, stride: STRIDE },
    ...(offsets === undefined ? {} : { offsets: offsets.name }),
    ...{ activated: isActivated(scores.name), threshold: SHOWN },
  };
}

function decode(spec: HeatMapSpec, context: DecodeContext): readonly Candidate[] {
  const { classes, stride } = spec;
  const grid = gridOf(context, stride);
  const cells = grid.rows * grid.cols;
  const scores = readCells(context, { output: spec.scores, cells, count: classes }).at;
  const sizes = readCells(context, { output: spec.sizes, cells, count: 2 }).at;
  const offsets =
    spec.offsets === undefined ? () => 0.5 : readCells(context, { output: spec.offsets, cells, count: 2 }).at;
  const activate = spec.activated ? (score: number) => score : logistic;
  const candidates: Candidate[] = [];
  for (let classId = 0; classId < classes; classId += 1) {
    const scoreOf = (cell: number) => scores(cell, classId);
    for (let cell = 0; cell < cells; cell += 1) {
      const confidence = activate(scoreOf(cell));
      if (!(confidence > context.threshold) || !isPeak(cell, { ...grid, scoreOf })) continue;
      const box = {
        centerX: ((cell % grid.cols) + offsets(cell, 0)) * stride,
        centerY: (Math.floor(cell / grid.cols) + offsets(cell, 1)) * stride,
        width: sizes(cell, 0) * stride,
        height: sizes(cell, 1) * stride,
      };
      candidates.push({ box: boxOfPixels(box, context), classId, confidence });
    }
  }
  return candidates;
}

interface ScoreMap {
  readonly rows: number;
  readonly cols: number;
  readonly scoreOf: (cell: number) => number;
}

/** Whether no neighbour is higher, and none before it is equal. */
function isPeak(cell: number, { rows, cols, scoreOf }: ScoreMap): boolean {
  const [row, col, score] = [Math.floor(cell / cols), cell % cols, scoreOf(cell)];
  for (let y = Math.max(0, row - 1); y <= Math.min(rows - 1, row + 1); y += 1)
    for (let x = Math.max(0, col - 1); x <= Math.min(cols - 1, col + 1); x += 1) {
      const other = y * cols + x;
      if (scoreOf(other) > score || (other < cell && scoreOf(other) === score)) return false;
    }
  return true;
}
