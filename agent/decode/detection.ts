/** Boxes with their classes: as candidates in the network's input, and as detections in the image. */

/** A box by its centre, relative to the network's input, 0 to 1. */
export interface Box {
  readonly centerX: number;
  readonly centerY: number;
  readonly width: number;
  readonly height: number;
}

/** A point of what a box shows, such as a joint: relative to the network's input, 0 to 1. */
export interface Point {
  readonly x: number;
  readonly y: number;
  /** Probability that it is seen, 0 to 1. */
  readonly confidence: number;
}

/** A corner of a box that stands at an angle. */
export interface Corner {
  readonly x: number;
  readonly y: number;
}

/** A class that a box may show. */
export interface Candidate {
  readonly box: Box;
  /** Corners of a box at an angle, relative to the network's input, and `box` is the upright one around it. */
  readonly corners?: readonly Corner[];
  readonly classId: number;
  /** Probability, 0 to 1. */
  readonly confidence: number;
  readonly points?: readonly Point[];
  /** Coefficients of the prototypes of masks. */
  readonly coefficients?: readonly number[];
  /** Corners of a polygon around the object's mask, relative to the network's input. */
  readonly outline?: readonly Corner[];
}

/** A reported detection. Its box is in pixels of the image, and x and y are its upper left corner. */
export interface Detection {
  readonly label: string;
  readonly classId: number;
  readonly confidence: number;
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  /** Corners of a box at an angle, in pixels of the image, and `box` is the upright one around it. */
  readonly corners?: readonly Corner[];
  /** Corners of a polygon around the object's mask, in pixels of the image; none where the mask is empty. */
  readonly outline?: readonly Corner[];
  /** Points of a pose, in the order that the network was trained with, in pixels of the image. */
  readonly keypoints?: readonly Point[];
}

/** Area of intersection over area of union, 0 to 1. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const width = overlap({ center: a.centerX, length: a.width }, { center: b.centerX, length: b.width });
  const height = overlap({ center: a.centerY, length: a.height }, { center: b.centerY, length: b.height });
  const shared = width * height;
  const union = a.width * a.height + b.width * b.height - shared;
  return union > 0 ? shared / union : 0;
}

interface Span {
  readonly center: number;
  readonly length: number;
}

function overlap(a: Span, b: Span): number {
  const from = Math.max(a.center - a.length / 2, b.center - b.length / 2);
  const to = Math.min(a.center + a.length / 2, b.center + b.length / 2);
  return Math.max(0, to - from);
}
