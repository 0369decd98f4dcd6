/** Polygons of a picture, by relative coordinates: 0 to 1 from the left and from the top. */
import { elementAt } from '../../shared/graph/index.js';

export interface Point {
  readonly x: number;
  readonly y: number;
}

export type Polygon = readonly Point[];

/**
 * Whether a point lies in a polygon, by the parity of the edges that a ray to the right crosses. Of an edge the upper
 * end counts and the lower doesn't, and its direction doesn't matter. So polygons that share an edge share no point.
 */
export function isInside(polygon: Polygon, { x, y }: Point): boolean {
  let isOdd = false;
  for (const [at, corner] of polygon.entries()) {
    const next = elementAt(polygon, (at + 1) % polygon.length);
    const [from, to] = corner.y < next.y ? [corner, next] : [next, corner];
    if (y < from.y || y >= to.y) continue;
    if (x < from.x + ((y - from.y) / (to.y - from.y)) * (to.x - from.x)) isOdd = !isOdd;
  }
  return isOdd;
}
