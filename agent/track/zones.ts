/**
 * Names the zones that a box is in. The bottom centre of the box decides, since that is where a thing stands on the
 * ground. What a box has outside of the picture doesn't count.
 */
import type { Box } from '../decode/detection.js';
import type { Polygon } from './polygon.js';
import { isInside } from './polygon.js';

export interface Zone {
  readonly name: string;
  readonly points: Polygon;
}

/** Largest coordinate of a point in the picture: a zone that ends at the border doesn't have the border itself. */
const LAST = 1 - 2 ** -20;

/** @param box relative to the picture. */
export function zonesOf(zones: readonly Zone[], { centerX, centerY, height }: Box): readonly string[] {
  const foot = { x: withinPicture(centerX), y: withinPicture(centerY + height / 2) };
  return zones.filter(({ points }) => isInside(points, foot)).map(({ name }) => name);
}

function withinPicture(coordinate: number): number {
  return Math.min(Math.max(coordinate, 0), LAST);
}
