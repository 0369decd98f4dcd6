import type { Size } from '../wire/shown-size.js';

/** Most pixels of an image: above any camera of a small board, and 1/4 of what sharp would accept. */
export const MAX_PIXELS = 2 ** 26;

/** Most pixels of a progressive JPEG or interlaced PNG, which is decoded whole before its first row: 50 MB. */
export const MAX_INTERLACED_PIXELS = 2 ** 24;

/** Least rows and columns of an image. One of a single row or column can't be sampled from corner to corner. */
export const MIN_EDGE = 2;

interface SizeLimit {
  /** Name of the image. */
  readonly name: string;
  readonly most: number;
  /** What is counted. */
  readonly kind: string;
}

/** @throws {RangeError} naming the image, if it has too many pixels, or too few rows or columns. */
export function checkSize({ width, height }: Size, { name, most, kind }: SizeLimit): void {
  if (width * height > most) {
    throw new RangeError(
      `Cannot read image ${name}: ${width}x${height} ${kind}, expected at most ${most} in all`,
    );
  }
  if (width < MIN_EDGE || height < MIN_EDGE) {
    throw new RangeError(
      `Cannot read image ${name}: ${width}x${height} ${kind}, expected at least ${MIN_EDGE}x${MIN_EDGE}`,
    );
  }
}
