/**
 * How an image has to be turned to stand upright, as its EXIF data say. Rows are read turned, so that no turned copy of the
 * image is needed. Source: CIPA DC-008 (EXIF 2.32), tag Orientation.
 */
import type { Size } from '../wire/shown-size.js';

/** 1 to 8; 1 for an image that stands upright. */
export type Orientation = number;

/** Whether rows become columns. */
export function isTransposed(orientation: Orientation): boolean {
  return orientation >= 5 && orientation <= 8;
}

/** Size of an image after it was turned, or before: the same. */
export function turnSize({ width, height }: Size, orientation: Orientation): Size {
  return isTransposed(orientation) ? { width: height, height: width } : { width, height };
}

export interface TurnedImage extends Size {
  readonly data: Uint8Array;
  readonly channels: number;
}

/** Reads the rows of an image one by one as they are after turning. */
export function turnedRows(image: TurnedImage, orientation: Orientation): (into: Uint8Array) => void {
  const { data, channels } = image;
  const { start, across, down } = walkOf(image, orientation);
  let row = start;
  return (into) => {
    let from = row * channels;
    for (let at = 0; at < into.length; at += channels) {
      for (let channel = 0; channel < channels; channel += 1) into[at + channel] = data[from + channel] ?? 0;
      from += across * channels;
    }
    row += down;
  };
}

/** In pixels: where the turned image's first pixel is, and how far it is to the next one across and down. */
interface Walk {
  readonly start: number;
  readonly across: number;
  readonly down: number;
}

function walkOf({ width, height }: Size, orientation: Orientation): Walk {
  const [right, bottom] = [width - 1, width * (height - 1)];
  switch (orientation) {
    case 2:
      return { start: right, across: -1, down: width };
    case 3:
      return { start: bottom + right, across: -1, down: -width };
    case 4:
      return { start: bottom, across: 1, down: -width };
    case 5:
      return { start: 0, across: width, down: 1 };
    case 6:
      return { start: bottom, across: -width, down: 1 };
    case 7:
      return { start: bottom + right, across: -width, down: -1 };
    case 8:
      return { start: right, across: width, down: -1 };
    default:
      return { start: 0, across: 1, down: width };
  }
}
