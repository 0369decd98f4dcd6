/**
 * The outline of the largest part of a mask, as a polygon without holes.
 *
 * 1. Cells that touch at their sides are one part; the part with the most cells is taken.
 * 2. From the corner of its first cell on, the border is followed with the part on its right.
 * 3. Corners that are nearer than a tolerance to the line between others are left out (Douglas and Peucker 1973).
 */
import { elementAt } from '../../shared/graph/index.js';
import type { Corner } from './detection.js';
import type { Mask } from './mask-parts.js';
import { partsOf } from './mask-parts.js';

/** Farthest that the polygon is from the mask's border, in cells. */
const TOLERANCE = 1;

/** Corners of the polygon, in cells; none if no cell is set. */
export function outlineOf(mask: Mask): readonly Corner[] {
  const { part, first } = largestPart(mask);
  return first === undefined ? [] : simplify(followBorder(part, first));
}

function largestPart(mask: Mask): { readonly part: Mask; readonly first: number | undefined } {
  let best: readonly number[] = [];
  for (const part of partsOf(mask, 'sides')) if (part.length > best.length) best = part;
  const cells = new Uint8Array(mask.cells.length);
  for (const cell of best) cells[cell] = 1;
  return { part: { ...mask, cells }, first: best[0] };
}

/** Right, down, left and up, so that the next one is a turn to the right. */
const STEPS = [
  { x: 1, y: 0 },
  { x: 0, y: 1 },
  { x: -1, y: 0 },
  { x: 0, y: -1 },
] as const;

/** Corners of the border, clockwise from the upper left corner of the part's first cell. */
function followBorder({ cells, rows, cols }: Mask, first: number): readonly Corner[] {
  const isSet = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < cols && y < rows && cells[y * cols + x] === 1;
  const start = { x: first % cols, y: Math.floor(first / cols) };
  const corners: Corner[] = [];
  let [place, heading] = [start, 0];
  do {
    const step = elementAt(STEPS, heading);
    const right = elementAt(STEPS, (heading + 1) % 4);
    place = { x: place.x + step.x, y: place.y + step.y };
    // The cells ahead of the new corner, to the right and to the left of the border.
    const [x, y] = [place.x + (step.x + right.x - 1) / 2, place.y + (step.y + right.y - 1) / 2];
    const isRight = isSet(x, y);
    const isLeft = isSet(x - right.x, y - right.y);
    const turned = !isRight ? (heading + 1) % 4 : isLeft ? (heading + 3) % 4 : heading;
    if (turned !== heading) corners.push(place);
    heading = turned;
  } while (place.x !== start.x || place.y !== start.y || heading !== 0);
  return corners;
}

/** A polygon with fewer corners: both halves of it are simplified as lines. */
function simplify(corners: readonly Corner[]): readonly Corner[] {
  const [start] = corners;
  if (start === undefined || corners.length <= 4) return corners;
  const far = farthest(corners, ({ x, y }) => Math.hypot(x - start.x, y - start.y)).at;
  const [there, back] = [corners.slice(0, far + 1), [...corners.slice(far), start]];
  return [...simplifyLine(there).slice(0, -1), ...simplifyLine(back).slice(0, -1)];
}

function simplifyLine(line: readonly Corner[]): readonly Corner[] {
  const kept = new Set([0, line.length - 1]);
  const spans: (readonly [from: number, to: number])[] = [[0, line.length - 1]];
  for (let span = spans.pop(); span !== undefined; span = spans.pop()) {
    const [from, to] = span;
    const ends = [elementAt(line, from), elementAt(line, to)] as const;
    const { at, distance } = farthest(line.slice(from, to), (corner) => distanceTo(ends, corner));
    if (!(distance > TOLERANCE)) continue;
    kept.add(from + at);
    spans.push([from, from + at], [from + at, to]);
  }
  return line.filter((_, at) => kept.has(at));
}

function distanceTo([from, to]: readonly [Corner, Corner], { x, y }: Corner): number {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  // A border that touches itself ends where it began.
  if (length === 0) return Math.hypot(x - from.x, y - from.y);
  return Math.abs((to.x - from.x) * (y - from.y) - (to.y - from.y) * (x - from.x)) / length;
}

interface Farthest {
  readonly at: number;
  readonly distance: number;
}

function farthest(corners: readonly Corner[], distanceOf: (corner: Corner) => number): Farthest {
  let best: Farthest = { at: 0, distance: 0 };
  for (const [at, corner] of corners.entries()) {
    const distance = distanceOf(corner);
    if (distance > best.distance) best = { at, distance };
  }
  return best;
}
