/** Where an image lies in a map over the network's input, whose margins show nothing. */
import type { ImageInput, RunResult } from '../engine/wire/protocol.js';
import { marginOf, seenPart, shownSize } from '../engine/wire/shown-size.js';
import type { Size } from './box-decoder.js';

/** Input of a run, as far as it says how the image was fitted to it. */
export type FittedInput = Pick<ImageInput, 'width' | 'height' | 'resize' | 'margin'>;

export interface ShownCells {
  /** Cells of the map that show the image. */
  readonly cells: Size & { readonly left: number; readonly top: number };
  /** The part of the image that they show, in its pixels. */
  readonly area: Size & { readonly x: number; readonly y: number };
}

export interface Fitted {
  readonly image: RunResult['image'];
  readonly input: FittedInput;
}

/** Cells are taken whole, and at least one on each side. */
export function shownCells({ width, height }: Size, { image, input }: Fitted): ShownCells {
  const shown = shownSize(image, input);
  const margin = marginOf(shown, input);
  const across = spanOf({ from: margin.left, length: shown.width }, { full: input.width, cells: width });
  const down = spanOf({ from: margin.top, length: shown.height }, { full: input.height, cells: height });
  const part = seenPart(image, input);
  return {
    cells: { left: across.from, top: down.from, width: across.length, height: down.length },
    area: { x: part.left, y: part.top, width: part.width, height: part.height },
  };
}

interface Span {
  readonly from: number;
  readonly length: number;
}

function spanOf(
  { from, length }: Span,
  { full, cells }: { readonly full: number; readonly cells: number },
): Span {
  const first = Math.min(cells - 1, Math.round((from * cells) / full));
  const end = Math.min(cells, Math.round(((from + length) * cells) / full));
  return { from: first, length: Math.max(1, end - first) };
}
