/**
 * Boxes that stand at an angle, and how much they overlap. Corners follow one another around the box.
 * Source: Sutherland and Hodgman 1974, Reentrant Polygon Clipping; ultralytics, utils/ops.py, xywhr2xyxyxyxy.
 */
import { elementAt } from '../../shared/graph/index.js';
import type { Box, Corner } from './detection.js';

/** Corners of a box whose width stands at an angle to the horizontal, in radians, clockwise in the image. */
export function cornersOf({ centerX, centerY, width, height }: Box, angle: number): readonly Corner[] {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return [
    [0.5, 0.5],
    [0.5, -0.5],
    [-0.5, -0.5],
    [-0.5, 0.5],
  ].map(([along = 0, across = 0]) => {
    const [right, down] = [along * width, across * height];
    return { x: centerX + right * cos - down * sin, y: centerY + right * sin + down * cos };
  });
}

/** The smallest upright box around corners. */
export function boundsOf(corners: readonly Corner[]): Box {
  const [xs, ys] = [corners.map(({ x }) => x), corners.map(({ y }) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  return {
    centerX: (left + right) / 2,
    centerY: (top + bottom) / 2,
    width: right - left,
    height: bottom - top,
  };
}

/** Area of intersection over area of union of two boxes, 0 to 1. It is the same in stretched coordinates. */
export function polygonOverlap(a: readonly Corner[], b: readonly Corner[]): number {
  const shared = Math.abs(areaOf(clip(a, b)));
  const union = Math.abs(areaOf(a)) + Math.abs(areaOf(b)) - shared;
  return union > 0 ? shared / union : 0;
}

/** The part of a convex polygon that is within another one: each side of it cuts off what is outside. */
function clip(polygon: readonly Corner[], within: readonly Corner[]): readonly Corner[] {
  const sign = Math.sign(areaOf(within));
  return within.reduce<readonly Corner[]>((left, from, at) => {
    const to = elementAt(within, (at + 1) % within.length);
    // Distance to the side, up to a factor; above zero inside.
    const insideBy = ({ x, y }: Corner) =>
      sign * ((to.x - from.x) * (y - from.y) - (to.y - from.y) * (x - from.x));
    return left.flatMap((corner, index) => {
      const next = elementAt(left, (index + 1) % left.length);
      const [here, there] = [insideBy(corner), insideBy(next)];
      const kept = here >= 0 ? [corner] : [];
      if (here >= 0 === there >= 0) return kept;
      const share = here / (here - there);
      return [
        ...kept,
        { x: corner.x + share * (next.x - corner.x), y: corner.y + share * (next.y - corner.y) },
      ];
    });
  }, polygon);
}

/** Area of a polygon, above zero if its corners go clockwise in the image. */
function areaOf(corners: readonly Corner[]): number {
  return corners.reduce((sum, { x, y }, at) => {
    const next = elementAt(corners, (at + 1) % corners.length);
    return sum + (x * next.y - next.x * y) / 2;
  }, 0);
}
