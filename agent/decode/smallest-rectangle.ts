/**
 * The rectangle of least area around points, at any angle. One of its sides lies on a side of the points' convex hull
 * (Freeman and Shapira 1975), so each side of the hull is tried. The hull is Andrew's monotone chain (1979).
 */
import { elementAt } from '../../shared/graph/index.js';
import type { Box, Corner } from './detection.js';

export interface Rectangle {
  /** The rectangle turned upright around its centre, in the units of the points. */
  readonly box: Box;
  /** Angle of its width to the horizontal, in radians, clockwise in the image; from -45 to 45 degrees. */
  readonly angle: number;
}

/** @throws {RangeError} if there are no points. */
export function smallestRectangle(points: readonly Corner[]): Rectangle {
  const hull = hullOf(points);
  return hull
    .map((from, at) => rectangleAlong(hull, angleOf(from, elementAt(hull, (at + 1) % hull.length))))
    .reduce((best, other) => (areaOf(other) < areaOf(best) ? other : best));
}

function areaOf({ box }: Rectangle): number {
  return box.width * box.height;
}

/** Angle of a line, less the quarter turns that a rectangle has the same sides without. */
function angleOf(from: Corner, to: Corner): number {
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  return angle - Math.round(angle / (Math.PI / 2)) * (Math.PI / 2);
}

function rectangleAlong(hull: readonly Corner[], angle: number): Rectangle {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const along = extentOf(hull.map(({ x, y }) => x * cos + y * sin));
  const across = extentOf(hull.map(({ x, y }) => y * cos - x * sin));
  const box = {
    centerX: along.middle * cos - across.middle * sin,
    centerY: along.middle * sin + across.middle * cos,
    width: along.length,
    height: across.length,
  };
  return { box, angle };
}

function extentOf(places: readonly number[]): { readonly middle: number; readonly length: number } {
  const [least, most] = [Math.min(...places), Math.max(...places)];
  return { middle: (least + most) / 2, length: most - least };
}

/** Corners of the convex hull, in order around it. */
function hullOf(points: readonly Corner[]): readonly Corner[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  if (sorted.length < 3) return sorted;
  return [...chainOf(sorted), ...chainOf(sorted.reverse())];
}

/** One half of the hull, without its last corner. */
function chainOf(sorted: readonly Corner[]): readonly Corner[] {
  const chain: Corner[] = [];
  for (const point of sorted) {
    while (
      chain.length >= 2 &&
      !isTurn(elementAt(chain, chain.length - 2), elementAt(chain, chain.length - 1), point)
    )
      chain.pop();
    chain.push(point);
  }
  return chain.slice(0, -1);
}

function isTurn(from: Corner, by: Corner, to: Corner): boolean {
  return (by.x - from.x) * (to.y - from.y) - (by.y - from.y) * (to.x - from.x) > 0;
}
