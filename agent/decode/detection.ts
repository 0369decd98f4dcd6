/** A box by its centre, relative to the network's input, 0 to 1. */
export interface Box {
  readonly centerX: number;
  readonly centerY: number;
  readonly width: number;
  readonly height: number;
}

/** One class in one box. */
export interface Candidate {
  readonly box: Box;
  readonly classId: number;
  /** 0 to 1. */
  readonly confidence: number;
}

/** What is reported: the box in pixels of the image given, x and y of its upper left corner. */
export interface Detection {
  readonly label: string;
  readonly classId: number;
  readonly confidence: number;
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

/** Area of intersection over area of union, 0 to 1. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const width = overlap(a.centerX, a.width, b.centerX, b.width);
  const height = overlap(a.centerY, a.height, b.centerY, b.height);
  const shared = width * height;
  const union = a.width * a.height + b.width * b.height - shared;
  return union > 0 ? shared / union : 0;
}

function overlap(centerA: number, lengthA: number, centerB: number, lengthB: number): number {
  const from = Math.max(centerA - lengthA / 2, centerB - lengthB / 2);
  const to = Math.min(centerA + lengthA / 2, centerB + lengthB / 2);
  return Math.max(0, to - from);
}
