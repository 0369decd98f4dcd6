/** Cuts a stream of bytes into frames of one size. */
import type { FramePool } from './frame-pool.js';

export interface RawFramesOptions {
  readonly frameBytes: number;
  readonly pool: FramePool;
  /** Called with each frame; `release` gives its buffer back. */
  readonly onFrame: (bytes: Uint8Array, release: () => void) => void;
}

export class RawFrames {
  readonly #options: RawFramesOptions;
  #buffer: Uint8Array | undefined;
  #at = 0;

  constructor(options: RawFramesOptions) {
    this.#options = options;
  }

  /** Copies the next bytes of the stream. */
  take(bytes: Uint8Array): void {
    const { frameBytes, pool } = this.#options;
    for (let from = 0; from < bytes.byteLength; ) {
      const count = Math.min(bytes.byteLength - from, frameBytes - this.#at);
      this.#buffer ??= pool.take(frameBytes);
      this.#buffer.set(bytes.subarray(from, from + count), this.#at);
      this.#at += count;
      from += count;
      if (this.#at === frameBytes) this.#finish(this.#buffer);
    }
  }

  /** Gives the buffer of an unfinished frame back. */
  end(): void {
    if (this.#buffer !== undefined) this.#options.pool.give(this.#buffer);
    this.#buffer = undefined;
    this.#at = 0;
  }

  #finish(buffer: Uint8Array): void {
    const { frameBytes, pool, onFrame } = this.#options;
    this.#buffer = undefined;
    this.#at = 0;
    onFrame(buffer.subarray(0, frameBytes), () => pool.give(buffer));
  }
}
