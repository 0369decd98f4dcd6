/**
 * Tells whether something moves in a camera's picture, so that frames which show nothing new needn't be run.
 *
 * 1. A frame becomes a small grey picture (grey-picture.ts).
 * 2. It is compared with a background, cell by cell, after the mean difference was taken off: a cloud or the camera's
 *    exposure changes all cells alike, and is no motion.
 * 3. If enough cells differ, the gate opens and stays open for HOLD_MS.
 * 4. The background moves a part of the way towards the frame.
 *
 * Encoded frames and files would have to be decoded for this, which only the executor can. For them the gate is open.
 */
import { elementAt } from '../../shared/graph/index.js';
import type { ImageSource } from '../engine/wire/protocol.js';
import type { Polygon } from '../track/polygon.js';
import { isInside } from '../track/polygon.js';
import type { GreyPicture } from './grey-picture.js';
import { shrinkToGrey } from './grey-picture.js';

export interface MotionOptions {
  /** Least difference in brightness of a cell that moves, of 255. */
  readonly threshold: number;
  /** Least part of the cells that move. */
  readonly area: number;
  /** Polygons whose cells don't count. */
  readonly mask: readonly Polygon[];
}

/** Time for which the gate stays open after motion. */
export const HOLD_MS = 5000;

/** Part of a difference that the background takes over. What stays where it is belongs to it after some 20 frames. */
const LEARNED = 0.1;

export class MotionGate {
  readonly #options: MotionOptions;
  #background: GreyPicture | undefined;
  /** Indices of the cells that count. */
  #cells: readonly number[] = [];
  #openUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: MotionOptions) {
    this.#options = options;
  }

  /** Takes in a frame, which must be each frame of the camera. @returns whether it should be run. */
  look(frame: ImageSource, nowMs: number): boolean {
    if (frame.kind !== 'pixels') return true;
    const picture = shrinkToGrey(frame);
    if (this.#hasMotion(picture)) this.#openUntilMs = nowMs + HOLD_MS;
    return nowMs < this.#openUntilMs;
  }

  /** The first frame, and one of another size, may show anything. */
  #hasMotion(picture: GreyPicture): boolean {
    const background = this.#background;
    if (background === undefined || background.cols !== picture.cols || background.rows !== picture.rows) {
      this.#background = picture;
      this.#cells = cellsOutside(this.#options.mask, picture);
      return true;
    }
    const differences = this.#cells.map(
      (at) => elementAt(picture.cells, at) - elementAt(background.cells, at),
    );
    for (const [at, before] of background.cells.entries())
      background.cells[at] = before + LEARNED * (elementAt(picture.cells, at) - before);
    return this.#isMotion(differences);
  }

  #isMotion(differences: readonly number[]): boolean {
    const { threshold, area } = this.#options;
    const mean = differences.reduce((sum, difference) => sum + difference, 0) / differences.length;
    const moving = differences.filter((difference) => Math.abs(difference - mean) >= threshold);
    return moving.length > 0 && moving.length >= area * differences.length;
  }
}

function cellsOutside(mask: readonly Polygon[], { cols, rows }: GreyPicture): readonly number[] {
  return Array.from({ length: cols * rows }, (_, at) => at).filter((at) => {
    const center = { x: ((at % cols) + 0.5) / cols, y: (Math.floor(at / cols) + 0.5) / rows };
    return !mask.some((polygon) => isInside(polygon, center));
  });
}
