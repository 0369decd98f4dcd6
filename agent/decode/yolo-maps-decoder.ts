/**
 * Raw maps with anchors of YOLOv5 and YOLOv7, one output for each stride: [1, anchors, rows, cols, 5 + classes], or
 * [1, anchors * (5 + classes), rows, cols] where an export ends with the convolution. A cell has for each anchor a centre, a
 * size, the objectness and the classes, before or after the logistic function s:
 *
 * - centre = (2 s - 0.5 + cell) * stride, size = (2 s)^2 * anchor, in pixels.
 *
 * Source: yolov5, models/yolo.py, Detect; yolov7, models/yolo.py, Detect; rknn_model_zoo, examples/yolov5.
 */
import { elementAt } from '../../shared/graph/index.js';
import { logistic } from './activations.js';
import { bestClass } from './best-class.js';
import type { BoxDecoder, DecodeContext } from './box-decoder.js';
import { boxOfPixels, gridOf, misfit, YOLO_PIXELS } from './box-decoder.js';
import { cellsOf } from './cell-values.js';
import type { Candidate } from './detection.js';
import { findYoloMaps, findYolov7Maps } from './find-yolo-maps.js';
import type { AnchorMap, YoloMapsSpec } from './yolo-maps-spec.js';
import { yoloMapsSchema } from './yolo-maps-spec.js';

export const yoloMapsDecoder: BoxDecoder<YoloMapsSpec> = {
  kind: 'yolo-maps',
  reads:
    'a map [1, 3, rows, cols, 5 + classes] or [1, 3 * (5 + classes), rows, cols] of YOLOv5 for each stride',
  schema: yoloMapsSchema,
  recognise: findYoloMaps,
  pixels: () => YOLO_PIXELS,
  decode,
};

/** A name for `yolo-maps` with the anchors of YOLOv7, for imports. */
export const yolov7Maps = {
  kind: 'yolov7-maps',
  reads: yoloMapsDecoder.reads.replace('YOLOv5', 'YOLOv7'),
  recognise: findYolov7Maps,
};

function decode(spec: YoloMapsSpec, context: DecodeContext): readonly Candidate[] {
  return spec.maps.flatMap((level) => {
    const readers = readersOf(spec, { level, context });
    return readers.flatMap((read, at) => decodeAnchor(spec, { ...level, at, read, context }));
  });
}

/** Reads a value of a cell: 0 to 3 are the box, 4 is the objectness, classes follow. */
type Reader = (cell: number, value: number) => number;

/** A reader for each anchor. */
function readersOf(
  { classes, activated }: YoloMapsSpec,
  { level, context }: { readonly level: AnchorMap; readonly context: DecodeContext },
): readonly Reader[] {
  const { output, stride, anchors } = level;
  const { rows, cols } = gridOf(context, stride);
  const tensor = context.read(output);
  const [count, area] = [5 + classes, rows * cols];
  const { at, ...shape } = cellsOf(tensor);
  const isSplit = shape.cells === anchors.length * area && shape.count === count;
  if (!isSplit && !(shape.cells === area && shape.count === anchors.length * count)) {
    const maps = `${anchors.length * count}, ${rows}, ${cols}`;
    throw misfit(output, tensor.shape, `[1, ${anchors.length}, ${rows}, ${cols}, ${count}] or [1, ${maps}]`);
  }
  const activate = activated ? (value: number) => value : logistic;
  return anchors.map((_, anchor): Reader => {
    return isSplit
      ? (cell, value) => activate(at(anchor * area + cell, value))
      : (cell, value) => activate(at(cell, anchor * count + value));
  });
}

interface AnchorCells extends AnchorMap {
  /** Index of the anchor. */
  readonly at: number;
  readonly read: Reader;
  readonly context: DecodeContext;
}

/** The best class of each cell above the threshold. Cells below it make no objects. */
function decodeAnchor({ classes }: YoloMapsSpec, { anchors, at, stride, read, context }: AnchorCells) {
  const { threshold } = context;
  const { rows, cols } = gridOf(context, stride);
  const anchor = elementAt(anchors, at);
  const candidates: Candidate[] = [];
  for (let cell = 0; cell < rows * cols; cell += 1) {
    const objectness = read(cell, 4);
    if (!(objectness > threshold)) continue;
    const { classId, score } = bestClass(classes, (value) => read(cell, 5 + value));
    const confidence = objectness * score;
    if (!(confidence > threshold)) continue;
    const [col, row] = [cell % cols, Math.floor(cell / cols)];
    const box = {
      centerX: (2 * read(cell, 0) - 0.5 + col) * stride,
      centerY: (2 * read(cell, 1) - 0.5 + row) * stride,
      width: (2 * read(cell, 2)) ** 2 * anchor.width,
      height: (2 * read(cell, 3)) ** 2 * anchor.height,
    };
    candidates.push({ box: boxOfPixels(box, context), classId, confidence });
  }
  return candidates;
}
