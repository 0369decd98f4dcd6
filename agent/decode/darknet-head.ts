/**
 * Decodes the output of a Darknet detection head to candidate boxes.
 * Source: Darknet's yolo_layer.c and region_layer.c, get_*_detections.
 */
import type { DetectionHead } from '../../shared/darknet/index.js';
import { elementAt } from '../../shared/graph/index.js';
import { logistic, softmax } from './activations.js';
import type { Candidate } from './detection.js';

/** Values of a head's output, [1, anchors * (5 + classes), rows, cols]. */
export interface HeadMap {
  readonly values: Float32Array;
  readonly rows: number;
  readonly cols: number;
}

/**
 * Candidates whose confidence is above a threshold. Each anchor of each cell has x, y, width, height,
 * objectness and a score for each class. Confidence is objectness times class probability.
 */
export function decodeHead(head: DetectionHead, map: HeadMap, threshold: number): readonly Candidate[] {
  const candidates: Candidate[] = [];
  const cells = map.rows * map.cols;
  for (let anchor = 0; anchor < head.anchors.length; anchor += 1) {
    for (let cell = 0; cell < cells; cell += 1) {
      const first = anchor * (5 + head.classes) * cells + cell;
      const read = (entry: number) => elementAt(map.values, first + entry * cells);
      const objectness = head.newCoords ? read(4) : logistic(read(4));
      if (!(objectness > threshold)) continue;
      candidates.push(...decodeCell(head, { map, anchor, cell, read, objectness, threshold }));
    }
  }
  return candidates;
}

interface Cell {
  readonly map: HeadMap;
  readonly anchor: number;
  readonly cell: number;
  /** Reads an entry: 0 to 3 are the box, 4 is objectness, classes follow. */
  readonly read: (entry: number) => number;
  readonly objectness: number;
  readonly threshold: number;
}

function decodeCell(head: DetectionHead, cell: Cell): readonly Candidate[] {
  const box = decodeBox(head, cell);
  const scores = Array.from({ length: head.classes }, (_, classId) => cell.read(5 + classId));
  return classProbabilities(head, scores).flatMap((probability, classId) => {
    const confidence = cell.objectness * probability;
    return confidence > cell.threshold ? [{ box, classId, confidence }] : [];
  });
}

function decodeBox(head: DetectionHead, { map, anchor, cell, read }: Cell): Candidate['box'] {
  const activate = head.newCoords ? (value: number) => value : logistic;
  const stretch = (value: number) => activate(value) * head.scaleXY - (head.scaleXY - 1) / 2;
  const grow = head.newCoords ? (value: number) => (value * 2) ** 2 : Math.exp;
  const { width, height } = elementAt(head.anchors, anchor);
  return {
    centerX: ((cell % map.cols) + stretch(read(0))) / map.cols,
    centerY: (Math.floor(cell / map.cols) + stretch(read(1))) / map.rows,
    width: grow(read(2)) * width,
    height: grow(read(3)) * height,
  };
}

function classProbabilities(
  { softmax: competing, newCoords }: DetectionHead,
  scores: readonly number[],
): readonly number[] {
  if (newCoords) return scores;
  return competing ? softmax(scores) : scores.map(logistic);
}
