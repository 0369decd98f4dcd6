/** Finds the output of YOLO heads that are decoded inside the network. `yolo-decoder.ts` says which these are. */
import type { NetworkFacts, OutputShape } from './box-decoder.js';
import { cellCount, gridOf, NMS_IOU, STRIDES, THRESHOLD, ULTRALYTICS_IOU } from './box-decoder.js';
import type { YoloSpec } from './yolo-spec.js';
import { POINT_VALUES } from './yolo-spec.js';

/** Prototypes of masks, of which each cell has coefficients. */
const COEFFICIENTS = 32;
const PROTOTYPE_STRIDE = 4;

export function findYolo(facts: NetworkFacts): YoloSpec | undefined {
  const [output] = facts.outputs;
  if (output === undefined || output.shape.length !== 3 || output.shape[0] !== 1) return undefined;
  return columnsOf(output, facts) ?? rowsOf(output, facts);
}

/** One box for each cell of strides 8, 16 and 32; a network of four strides has 64, too, or 4 before. */
function columnsOf({ name, shape }: OutputShape, facts: NetworkFacts): YoloSpec | undefined {
  const [, values = 0, cells = 0] = shape;
  const isGrid = [STRIDES, [4, ...STRIDES], [...STRIDES, 64]].some(
    (strides) => cells === cellCount(facts, strides),
  );
  if (values < 5 || !(isGrid || (facts.isTold && cells > values))) return undefined;
  const isPose = facts.task === 'pose' && facts.labels !== undefined;
  const masks = prototypesOf(facts);
  const task = masks.masks === undefined ? facts.task : 'segment';
  const beside = { segment: COEFFICIENTS, obb: 1 }[task ?? ''] ?? 0;
  const classes = isPose ? (facts.labels ?? 1) : values - 4 - beside;
  const keypoints = isPose ? (values - 4 - classes) / POINT_VALUES : 0;
  if (classes < 1 || !Number.isInteger(keypoints)) return undefined;
  const spec = {
    kind: 'yolo',
    output: name,
    cells: 'columns',
    objectness: false,
    classes,
    keypoints,
    rotated: facts.task === 'obb',
  } as const;
  return { ...spec, ...masks, threshold: THRESHOLD, nmsIou: ULTRALYTICS_IOU };
}

/** Three boxes for each cell, or one of YOLOv6. YOLOX has as many of another meaning, but its exporter's name is `output`. */
function rowsOf({ name, shape }: OutputShape, facts: NetworkFacts): YoloSpec | undefined {
  const [, cells = 0, values = 0] = shape;
  const masks = prototypesOf(facts);
  const classes = values - 5 - (masks.masks === undefined ? 0 : COEFFICIENTS);
  const { labels = classes } = facts;
  const each = name === 'outputs' && classes === labels ? [1, 3] : [3];
  const isGrid = [STRIDES, [...STRIDES, 64]].some((strides) =>
    each.some((boxes) => cells === boxes * cellCount(facts, strides)),
  );
  if (classes < 1 || !(isGrid || (facts.isTold && cells > values))) return undefined;
  const spec = {
    kind: 'yolo',
    output: name,
    cells: 'rows',
    objectness: true,
    classes,
    keypoints: 0,
  } as const;
  return { ...spec, rotated: false, ...masks, threshold: THRESHOLD, nmsIou: NMS_IOU };
}

/** The prototypes of masks, which are the second output. */
function prototypesOf({ outputs, ...size }: NetworkFacts): Pick<YoloSpec, 'masks'> {
  const [, second, ...others] = outputs;
  const [batch, count, height, width] = second?.shape ?? [];
  const { rows, cols } = gridOf(size, PROTOTYPE_STRIDE);
  const fits = batch === 1 && count === COEFFICIENTS && height === rows && width === cols;
  return second !== undefined && others.length === 0 && fits ? { masks: second.name } : {};
}
