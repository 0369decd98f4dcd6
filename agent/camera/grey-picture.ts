/** A small grey picture of a frame, sampled from its RGB bytes. */
import { elementAt } from '../../shared/graph/index.js';
import type { FittedFrom } from '../engine/wire/protocol.js';
import { shownPart } from '../engine/wire/shown-size.js';

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Where the picture has margins that don't count. */
  readonly fittedFrom?: FittedFrom;
  /** RGB, row by row. */
  readonly bytes: Uint8Array;
}

export interface GreyPicture {
  readonly cols: number;
  readonly rows: number;
  /** Mean brightness of each cell, 0 to 255, row by row. */
  readonly cells: Float32Array;
}

const COLS = 64;
/** Bound for very tall pictures. */
const MAX_ROWS = 256;
/** Pixels of a cell that are read, along each edge: one alone would be as noisy as the sensor. */
const SAMPLES = 4;

/** Weights of red, green and blue in brightness, of 256. Source: ITU-R BT.601. */
const [RED, GREEN, BLUE] = [77, 150, 29] as const;

export function shrinkToGrey(pixels: Pixels): GreyPicture {
  const { left, top, width, height } = shownPart(pixels);
  const start = top * pixels.width + left;
  const cols = Math.min(COLS, width);
  const rows = Math.min(MAX_ROWS, height, Math.max(1, Math.round((cols * height) / width)));
  const cells = new Float32Array(cols * rows);
  const across = samplePlaces(width, cols);
  for (const [sample, y] of samplePlaces(height, rows).entries()) {
    const row = Math.floor(sample / SAMPLES) * cols;
    addRow(pixels.bytes.subarray((start + y * pixels.width) * 3), across, cells.subarray(row, row + cols));
  }
  for (const [at, sum] of cells.entries()) cells[at] = sum / (256 * SAMPLES * SAMPLES);
  return { cols, rows, cells };
}

/** SAMPLES positions in each of `count` equal parts of a length. */
function samplePlaces(length: number, count: number): Int32Array {
  const all = count * SAMPLES;
  return Int32Array.from({ length: all }, (_, at) => Math.floor(((at + 0.5) * length) / all));
}

function addRow(bytes: Uint8Array, across: Int32Array, sums: Float32Array): void {
  for (let sample = 0; sample < across.length; sample += 1) {
    const at = elementAt(across, sample) * 3;
    const grey =
      RED * elementAt(bytes, at) + GREEN * elementAt(bytes, at + 1) + BLUE * elementAt(bytes, at + 2);
    const cell = Math.floor(sample / SAMPLES);
    sums[cell] = elementAt(sums, cell) + grey;
  }
}
