/**
 * Finds the outputs of networks with the distribution focal loss. The number of classes has to be known, or 80 (COCO).
 *
 * - NanoDet: one output [1, cells, classes + 4 bins]. NanoDet-plus has four strides and puts centres at the cell's corner, older
 *   ones have three and put them in the middle. Source: nanodet, model/head/nanodet_plus_head.py and gfl_head.py.
 * - NanoDet of 2020: `cls_pred_stride_8` [1, cells, classes] and `dis_pred_stride_8` [1, cells, 4 bins] for each stride. The
 *   names tell the number of classes. Exports for OpenCV have no batch, [cells, classes].
 * - PicoDet without postprocessing: the same for four strides, centres in the middle, all scores before all boxes.
 *   Source: PaddleDetection, ppdet/modeling/heads/pico_head.py, and deploy/third_engine.
 * - YOLOv6, v8 and PP-YOLOE of rknn_model_zoo: maps [1, 4 bins, rows, cols] and [1, classes, rows, cols] for each stride, and
 *   sometimes one of the classes' sum. Source: rknn_model_zoo, examples/yolov8 and yolov6.
 * - YOLOv8's and v9's raw head: [1, 4 * 16 + classes, rows, cols] for each stride. Source: ultralytics, nn/modules/head.py.
 *
 * Where a distance isn't a distribution (YOLOv6 n and s), or four strides of rows have another order than PicoDet's, the
 * outputs could be those of other networks: the decoder has to be named.
 */
import type { NetworkFacts, OutputShape } from './box-decoder.js';
import { COCO_CLASSES, cellCount, STRIDES, THRESHOLD, ULTRALYTICS_IOU } from './box-decoder.js';
import { cellShape } from './cell-values.js';
import type { DflMap, DflMapsSpec } from './dfl-maps-spec.js';
import { levelsOf } from './stride-levels.js';

/** NanoDet's and PicoDet's overlap. */
const NANODET_IOU = 0.6;

/** Bins of NanoDet and PicoDet (8, 11), YOLOv8 and v9 (16), YOLOv6 and PP-YOLOE (17). */
const KNOWN_BINS: readonly number[] = [8, 11, 16, 17];
const YOLOV8_BINS = 16;

const LEVELS = [STRIDES, [...STRIDES, 64]] as const;

export function findDflMaps(facts: NetworkFacts): DflMapsSpec | undefined {
  const { outputs } = facts;
  if (outputs.length === 1) return rowsOf(facts);
  return outputs.length <= 4 ? joinedMaps(facts) : separateMaps(facts);
}

/** NanoDet. */
function rowsOf(facts: NetworkFacts): DflMapsSpec | undefined {
  const [output] = facts.outputs;
  const { cells, count } = cellShape(output ?? { shape: [] });
  const strides = LEVELS.find((tried) => cells === cellCount(facts, tried));
  if (output?.shape.length !== 3 || strides === undefined) return undefined;
  const classes = facts.labels ?? COCO_CLASSES;
  const bins = (count - classes) / 4;
  if (!KNOWN_BINS.includes(bins)) return undefined;
  const cellOffset = strides.length === 4 ? 0 : 0.5;
  const maps = [mapOf(strides, { scores: output, boxes: output })];
  return specOf(facts, { classes, bins, first: 'scores', cellOffset, maps });
}

/** YOLOv8 and v9. A named decoder also reads YOLOv6's scores with four distances. */
function joinedMaps(facts: NetworkFacts): DflMapsSpec | undefined {
  const { outputs, labels, isTold } = facts;
  const count = outputs[0]?.shape[1] ?? 0;
  const levels = levelsOf(facts, LEVELS);
  if (levels === undefined || outputs.some(({ shape }) => shape.length !== 4 || shape[1] !== count))
    return undefined;
  const maps = levels.flatMap(({ stride, members }) =>
    members.map((output) => mapOf([stride], { scores: output, boxes: output })),
  );
  const classes = labels ?? COCO_CLASSES;
  const found = { classes, cellOffset: 0.5, maps } as const;
  if (count === classes + 4 * YOLOV8_BINS && (labels !== undefined || isTold))
    return specOf(facts, { ...found, bins: YOLOV8_BINS, first: 'boxes' });
  return isTold && count === classes + 4 ? specOf(facts, { ...found, bins: 1, first: 'scores' }) : undefined;
}

function separateMaps(facts: NetworkFacts): DflMapsSpec | undefined {
  const levels = levelsOf(facts, LEVELS) ?? [];
  const pairs = levels.flatMap(({ members }) => pairOf(members, facts) ?? []);
  const [first] = pairs;
  if (first === undefined || pairs.length !== levels.length) return undefined;
  const [classes, values] = [cellShape(first.scores).count, cellShape(first.boxes).count];
  const isSame = pairs.every(({ scores, boxes }) => {
    return cellShape(scores).count === classes && cellShape(boxes).count === values;
  });
  const isKnown = pairs.length === 3 || first.scores.shape.length === 4 || isPicoDet(facts.outputs, classes);
  if (!isSame || !(isKnown || facts.isTold)) return undefined;
  const maps = levels.flatMap(({ stride }, at) => {
    const pair = pairs[at];
    return pair === undefined ? [] : [mapOf([stride], pair)];
  });
  return specOf(facts, { classes, bins: values / 4, first: 'scores', cellOffset: 0.5, maps });
}

/** All scores come before all boxes, and no name is one of NanoDet's. */
function isPicoDet(outputs: readonly OutputShape[], classes: number): boolean {
  const half = outputs.length / 2;
  const isScores = outputs.map((output) => cellShape(output).count === classes);
  return isScores.every((is, at) => is === at < half) && !outputs.some(({ name }) => /stride/.test(name));
}

interface Pair {
  readonly scores: OutputShape;
  readonly boxes: OutputShape;
}

/** The scores and boxes of one stride, if they can't be taken for each other. A third output is the classes' sum. */
function pairOf(members: readonly OutputShape[], facts: NetworkFacts): Pair | undefined {
  const { labels, isTold } = facts;
  const bins = isTold ? [1, ...KNOWN_BINS] : KNOWN_BINS;
  const pairs = members.flatMap((scores) =>
    members
      .filter((boxes) => boxes !== scores && bins.includes(cellShape(boxes).count / 4))
      .map((boxes) => ({ scores, boxes })),
  );
  const named = pairs.find(
    ({ scores, boxes }) => /^cls_pred_/.test(scores.name) && /^dis_pred_/.test(boxes.name),
  );
  const classes = labels ?? (named === undefined ? COCO_CLASSES : cellShape(named.scores).count);
  const [pair, ...others] = pairs.filter(({ scores }) => cellShape(scores).count === classes);
  const rest = members.filter((output) => output !== pair?.scores && output !== pair?.boxes);
  const isSum =
    rest.length === 0 || (rest.length === 1 && rest.every((output) => cellShape(output).count === 1));
  // Of a network of one class its scores and their sum are the same.
  const isClear = others.length === 0 || (labels === 1 && others.length === 1);
  return isSum && isClear ? pair : undefined;
}

/** The outputs of one stride, or of all strides. */
function mapOf(strides: readonly number[], { scores, boxes }: Pair): DflMap {
  return { scores: scores.name, boxes: boxes.name, strides };
}

type Found = Pick<DflMapsSpec, 'classes' | 'bins' | 'first' | 'cellOffset' | 'maps'>;

function specOf({ isActivated }: NetworkFacts, found: Found): DflMapsSpec {
  return {
    kind: 'dfl-maps',
    ...found,
    activated: found.maps.every(({ scores }) => isActivated(scores)),
    threshold: THRESHOLD,
    nmsIou: found.bins === YOLOV8_BINS ? ULTRALYTICS_IOU : NANODET_IOU,
  };
}
