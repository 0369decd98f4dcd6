import type { FittedFrom, ImageInput } from './protocol.js';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Size of an image within the network's input: all of it, or as much as its aspect ratio fills. */
export function shownSize(
  given: Size,
  { width, height, resize }: Pick<ImageInput, 'width' | 'height' | 'resize'>,
): Size {
  if (resize === 'stretch') return { width, height };
  const scale = Math.min(width / given.width, height / given.height);
  const shown = (full: number, length: number) => Math.min(full, Math.max(2, Math.floor(length * scale)));
  return { width: shown(width, given.width), height: shown(height, given.height) };
}

interface Margin {
  readonly left: number;
  readonly top: number;
}

interface FittedPixels extends Size {
  readonly fittedFrom?: FittedFrom;
}

/** Margin left of and above the image; the rest is right of and below it. */
export function marginOf(shown: Size, { width, height }: Size): Margin {
  return { left: Math.floor((width - shown.width) / 2), top: Math.floor((height - shown.height) / 2) };
}

/** Where an image lies in its own pixels: in all of them, unless it was fitted before. */
export function shownPart({ width, height, fittedFrom }: FittedPixels): Size & Margin {
  if (fittedFrom === undefined) return { left: 0, top: 0, width, height };
  const shown = shownSize(fittedFrom, { width, height, resize: fittedFrom.resize });
  return { ...marginOf(shown, { width, height }), ...shown };
}
