/**
 * Finds raw maps of YOLOv5 and YOLOv7.
 *
 * Shapes don't tell the anchors, and Darknet's maps look the same. So the maps are recognised only by the metadata of YOLOv5's
 * exporter, else the kind has to be named. Anchors that a training fitted to its data have to be written into model.yaml.
 */
import type { NetworkFacts, OutputShape } from './box-decoder.js';
import { gridOf, NMS_IOU, THRESHOLD } from './box-decoder.js';
import type { AnchorTable, StrideAnchors } from './yolo-anchors.js';
import { YOLOV5_ANCHORS, YOLOV7_ANCHORS } from './yolo-anchors.js';
import type { YoloMapsSpec } from './yolo-maps-spec.js';

export function findYoloMaps(facts: NetworkFacts): YoloMapsSpec | undefined {
  return facts.isYolov5 || facts.isTold ? specOf(facts, YOLOV5_ANCHORS) : undefined;
}

/** The same outputs with the anchors of YOLOv7, which only a name can tell. */
export function findYolov7Maps(facts: NetworkFacts): YoloMapsSpec | undefined {
  return facts.isTold ? specOf(facts, YOLOV7_ANCHORS) : undefined;
}

function specOf(facts: NetworkFacts, table: AnchorTable): YoloMapsSpec | undefined {
  const { outputs, labels, isActivated } = facts;
  const levels = table.find(({ length }) => length === outputs.length) ?? [];
  const found = levels.flatMap((level) => mapOf(facts, level) ?? []);
  const classes = found[0]?.classes ?? 0;
  const isWhole = found.length > 0 && found.length === levels.length;
  if (!isWhole || classes !== (labels ?? classes)) return undefined;
  if (classes < 1 || !found.every((other) => other.classes === classes)) return undefined;
  const activated = outputs.every(({ name }) => isActivated(name));
  const maps = found.map((level) => level.map);
  return { kind: 'yolo-maps', classes, activated, maps, threshold: THRESHOLD, nmsIou: NMS_IOU };
}

/** The only output with the rows and columns of a stride. */
function mapOf({ outputs, ...size }: NetworkFacts, level: StrideAnchors) {
  const { rows, cols } = gridOf(size, level.stride);
  const anchors = level.anchors.length;
  const fits = ({ shape }: OutputShape): boolean => {
    const [batch, second, ...rest] = shape;
    const [height, width] = shape.length === 5 && second === anchors ? rest : shape.length === 4 ? rest : [];
    return batch === 1 && height === rows && width === cols;
  };
  const [found, ...others] = outputs.filter(fits);
  if (found === undefined || others.length > 0) return undefined;
  const { name, shape } = found;
  const classes = (shape.length === 5 ? (shape[4] ?? 0) : (shape[1] ?? 0) / anchors) - 5;
  return Number.isInteger(classes) ? { classes, map: { output: name, ...level } } : undefined;
}
