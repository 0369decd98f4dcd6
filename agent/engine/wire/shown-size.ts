import type { FittedFrom, ImageInput, Margin } from './protocol.js';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The part of an image that a network sees: of a crop the largest in the middle that has the input's shape, else all. */
export function seenPart(
  given: Size,
  { width, height, resize }: Pick<ImageInput, 'width' | 'height' | 'resize'>,
): Size & Offset {
  const isCropped = resize === 'crop';
  const part = {
    width: isCropped ? cropLength(given.width, (given.height * width) / height) : given.width,
    height: isCropped ? cropLength(given.height, (given.width * height) / width) : given.height,
  };
  return {
    left: Math.floor((given.width - part.width) / 2),
    top: Math.floor((given.height - part.height) / 2),
    ...part,
  };
}

function cropLength(full: number, fitting: number): number {
  return Math.min(full, Math.max(2, Math.round(fitting)));
}

/** Size of the part that is seen within the network's input: all of it, or as much as its aspect ratio fills. */
export function shownSize(
  given: Size,
  { width, height, resize }: Pick<ImageInput, 'width' | 'height' | 'resize'>,
): Size {
  if (resize !== 'letterbox') return { width, height };
  const scale = Math.min(width / given.width, height / given.height);
  const shown = (full: number, length: number) => Math.min(full, Math.max(2, Math.floor(length * scale)));
  return { width: shown(width, given.width), height: shown(height, given.height) };
}

/** Darknet fills margins with 0.5. */
export const DARKNET_MARGIN: Margin = { grey: 128, place: 'centre' };

interface Offset {
  readonly left: number;
  readonly top: number;
}

interface FittedPixels extends Size {
  readonly fittedFrom?: FittedFrom;
}

/** Room left of and above the image; the rest is right of and below it. */
export function marginOf(
  shown: Size,
  { width, height, margin = DARKNET_MARGIN }: Size & Pick<ImageInput, 'margin'>,
): Offset {
  if (margin.place === 'top-left') return { left: 0, top: 0 };
  return { left: Math.floor((width - shown.width) / 2), top: Math.floor((height - shown.height) / 2) };
}

/** Where an image lies in its own pixels: in all of them, unless it was fitted before. */
export function shownPart({ width, height, fittedFrom }: FittedPixels): Size & Offset {
  if (fittedFrom === undefined) return { left: 0, top: 0, width, height };
  const input = { ...fittedFrom, width, height };
  const shown = shownSize(fittedFrom, input);
  return { ...marginOf(shown, input), ...shown };
}
