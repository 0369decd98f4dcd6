/** A camera whose frames are image files, one after the other, over and over. */

import { elementAt } from '../../shared/graph/index.js';
import type { ImageSource } from '../engine/wire/protocol.js';
import type { Camera } from './camera.js';
import { FrameClock } from './camera.js';

export interface FileOptions {
  readonly name: string;
  /** Paths, at least one. */
  readonly files: readonly string[];
  readonly fps: number;
}

/** Gives the paths of the files. The executor opens them. */
export class FileCamera implements Camera {
  readonly name: string;
  readonly #files: readonly string[];
  readonly #clock: FrameClock;
  #next = 0;

  constructor({ name, files, fps }: FileOptions) {
    this.name = name;
    this.#files = files;
    this.#clock = new FrameClock(fps);
  }

  start(onFrame: (frame: ImageSource) => void): void {
    this.#clock.start(() => {
      const path = elementAt(this.#files, this.#next % this.#files.length);
      this.#next += 1;
      onFrame({ kind: 'file', path });
    });
  }

  stop(): void {
    this.#clock.stop();
  }
}
