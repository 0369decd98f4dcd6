/** A camera that needs no hardware. It draws coloured shapes that move over a gradient. */
import type { ImageSource } from '../engine/wire/protocol.js';
import type { Camera } from './camera.js';
import { FrameClock } from './camera.js';

export interface SyntheticOptions {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
}

export class SyntheticCamera implements Camera {
  readonly name: string;
  readonly #options: SyntheticOptions;
  readonly #clock: FrameClock;
  #frame = 0;

  constructor(options: SyntheticOptions) {
    this.name = options.name;
    this.#options = options;
    this.#clock = new FrameClock(options.fps);
  }

  start(onFrame: (frame: ImageSource) => void): void {
    const { width, height } = this.#options;
    this.#clock.start(() => {
      const bytes = drawFrame(this.#frame, { width, height });
      onFrame({ kind: 'pixels', name: `${this.name} frame ${this.#frame}`, width, height, bytes });
      this.#frame += 1;
    });
  }

  stop(): void {
    this.#clock.stop();
  }
}

interface FrameSize {
  readonly width: number;
  readonly height: number;
}

/** RGB bytes of a frame by its number. The same number gives the same bytes. */
export function drawFrame(frame: number, { width, height }: FrameSize): Uint8Array {
  const bytes = new Uint8Array(width * height * 3);
  const box = { left: sweep(frame * 7, width * 0.7), top: height * 0.2, side: height * 0.3 };
  const disc = { x: width / 2, y: sweep(frame * 5, height), radius: height * 0.15 };
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = (y * width + x) * 3;
      const inBox = x >= box.left && x < box.left + box.side && y >= box.top && y < box.top + box.side;
      const inDisc = (x - disc.x) ** 2 + (y - disc.y) ** 2 < disc.radius ** 2;
      bytes[at] = inBox ? 200 : (x * 160) / width;
      bytes[at + 1] = inDisc ? 200 : (y * 160) / height;
      bytes[at + 2] = inBox || inDisc ? 40 : 90;
    }
  }
  return bytes;
}

/** A position that goes back and forth between 0 and `length`. */
function sweep(position: number, length: number): number {
  const phase = position % (2 * length);
  return phase < length ? phase : 2 * length - phase;
}
