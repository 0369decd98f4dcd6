/**
 * Draws boxes, polygons and their texts into RGB pixels.
 *
 * SVG by librsvg would need fonts, which boards often lack: tried without any, it drew an empty box for each letter. Here
 * every board draws the same.
 */
import { elementAt } from '../../../shared/graph/index.js';
import type { DrawnShape } from '../wire/protocol.js';
import { GLYPH, glyphOf } from './glyphs.js';

/** RGB, row by row. */
export interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

type Colour = readonly [red: number, green: number, blue: number];

const COLOURS: Readonly<Record<DrawnShape['kind'], Colour>> = { box: [255, 212, 0], polygon: [0, 200, 255] };
const INK: Colour = [0, 0, 0];

/** Columns of a picture from which on lines and texts are twice as large. */
const LARGE_WIDTH = 480;
/** Longest text in characters. */
const MAX_TEXT = 48;

/** What lies outside of the picture is left out. */
export function drawShape(canvas: Canvas, { kind, points, text }: DrawnShape): void {
  const scale = canvas.width >= LARGE_WIDTH ? 2 : 1;
  const corners = points.map(({ x, y }): Pixel => ({ x: x * canvas.width, y: y * canvas.height }));
  const colour = COLOURS[kind];
  const outline = kind === 'box' ? rectangleOf(corners) : corners;
  for (const [at, from] of outline.entries()) {
    const to = elementAt(outline, (at + 1) % outline.length);
    drawLine(canvas, { from, to, colour, thickness: scale });
  }
  drawText(canvas, { at: elementAt(corners, 0), text: [...text].slice(0, MAX_TEXT), colour, scale });
}

interface Pixel {
  readonly x: number;
  readonly y: number;
}

function rectangleOf(corners: readonly Pixel[]): readonly Pixel[] {
  const [from, to] = [elementAt(corners, 0), elementAt(corners, 1)];
  return [from, { x: to.x, y: from.y }, to, { x: from.x, y: to.y }];
}

interface Line {
  readonly from: Pixel;
  readonly to: Pixel;
  readonly colour: Colour;
  readonly thickness: number;
}

/** Points may lie far outside, so the line is cut to the picture before it is walked. */
function drawLine(canvas: Canvas, { from, to, colour, thickness }: Line): void {
  const part = cutToPicture(canvas, from, to);
  if (part === undefined) return;
  const [start, end] = part;
  const steps = Math.ceil(Math.max(Math.abs(end.x - start.x), Math.abs(end.y - start.y)));
  for (let step = 0; step <= steps; step += 1) {
    const share = steps === 0 ? 0 : step / steps;
    const left = clamp(start.x + share * (end.x - start.x), canvas.width - thickness);
    const top = clamp(start.y + share * (end.y - start.y), canvas.height - thickness);
    fill(canvas, { left, top, width: thickness, height: thickness }, colour);
  }
}

/** The part of a line that lies in the picture. Source: Liang and Barsky (1984). */
function cutToPicture(
  { width, height }: Canvas,
  from: Pixel,
  to: Pixel,
): readonly [Pixel, Pixel] | undefined {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  let [first, last] = [0, 1];
  for (const [speed, room] of [
    [-dx, from.x],
    [dx, width - from.x],
    [-dy, from.y],
    [dy, height - from.y],
  ] as const) {
    if (speed === 0 && room < 0) return undefined;
    if (speed < 0) first = Math.max(first, room / speed);
    if (speed > 0) last = Math.min(last, room / speed);
  }
  const at = (share: number): Pixel => ({ x: from.x + share * dx, y: from.y + share * dy });
  return first <= last ? [at(first), at(last)] : undefined;
}

interface TextPlace {
  /** Upper left corner of the shape. */
  readonly at: Pixel;
  /** Characters in order. */
  readonly text: readonly string[];
  /** Of the field that the text stands on. */
  readonly colour: Colour;
  readonly scale: number;
}

/** Above the corner, where there is room; else below it. */
function drawText(canvas: Canvas, { at, text, colour, scale }: TextPlace): void {
  if (text.length === 0) return;
  const advance = (GLYPH.cols + 1) * scale;
  const field = { width: text.length * advance + scale, height: (GLYPH.rows + 2) * scale };
  const left = clamp(at.x, canvas.width - field.width);
  const top =
    at.y >= field.height ? Math.floor(at.y - field.height) : clamp(at.y, canvas.height - field.height);
  fill(canvas, { left, top, ...field }, colour);
  for (const [index, character] of text.entries())
    drawGlyph(canvas, { left: left + scale + index * advance, top: top + scale, character, scale });
}

interface GlyphPlace {
  readonly left: number;
  readonly top: number;
  readonly character: string;
  readonly scale: number;
}

function drawGlyph(canvas: Canvas, { left, top, character, scale }: GlyphPlace): void {
  for (const [col, bits] of glyphOf(character).entries())
    for (let row = 0; row < GLYPH.rows; row += 1) {
      if (((bits >> row) & 1) === 0) continue;
      const place = { left: left + col * scale, top: top + row * scale };
      fill(canvas, { ...place, width: scale, height: scale }, INK);
    }
}

interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

function fill({ width, height, data }: Canvas, area: Area, [red, green, blue]: Colour): void {
  const right = Math.min(width, area.left + area.width);
  const bottom = Math.min(height, area.top + area.height);
  for (let y = Math.max(0, area.top); y < bottom; y += 1)
    for (let x = Math.max(0, area.left); x < right; x += 1) {
      const at = (y * width + x) * 3;
      data[at] = red;
      data[at + 1] = green;
      data[at + 2] = blue;
    }
}

/** A whole coordinate from 0 to `most`. */
function clamp(coordinate: number, most: number): number {
  return Math.max(0, Math.min(Math.floor(coordinate), most));
}
