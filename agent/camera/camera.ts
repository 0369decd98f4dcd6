/** The interface of cameras, and the clock that they share. */

import type { CameraStatus } from '../../shared/wire/index.js';
import type { ImageSource } from '../engine/wire/protocol.js';

/** @param release gives the image's buffer back to the camera once it isn't read any more; absent for one of its own. */
export type OnFrame = (image: ImageSource, release?: () => void) => void;

/** A source of frames. `start` and `stop` own all effects; `stop` may be called again, and `start` after it. */
export interface Camera {
  readonly name: string;
  /** Absent where the source can't be lost. */
  readonly status?: CameraStatus;
  /** Id of the camera's own process; absent while it has none. */
  readonly pid?: number | undefined;
  /** Number of images that the source gave and that couldn't be decoded before they became frames. */
  readonly brokenCount?: number;
  /** Calls back with each frame, until `stop`. */
  start(onFrame: OnFrame): void;
  /** Resolves when nothing of the camera runs any more. */
  stop(): void | Promise<void>;
}

/** Calls a function at a steady rate that doesn't drift. Calls that would be late are left out. */
export class FrameClock {
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(framesPerSecond: number) {
    this.#intervalMs = 1000 / framesPerSecond;
  }

  start(onTick: () => void): void {
    const startMs = performance.now();
    let tick = 0;
    const next = () => {
      const elapsed = performance.now() - startMs;
      // A timer may fire a little early, which must not give the same tick twice.
      tick = Math.max(tick + 1, Math.ceil(elapsed / this.#intervalMs));
      this.#timer = setTimeout(
        () => {
          next();
          onTick();
        },
        tick * this.#intervalMs - elapsed,
      );
    };
    next();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
