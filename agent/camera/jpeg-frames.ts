/**
 * Cuts a stream of JPEG images, one after the other, into frames. An image begins with FF D8 and ends with FF D9, which
 * its compressed data can't contain (ITU-T T.81, B.1.1.5). Bytes between images are skipped.
 *
 * An image that is cut short by the next one, or that is too long, is given as it is: its decoder refuses it, and it is
 * counted there. Images with a thumbnail of their own aren't supported; cameras don't send them in a stream.
 */
import type { FramePool } from './frame-pool.js';

export interface JpegFramesOptions {
  readonly pool: FramePool;
  /** Called with each frame; `release` gives its buffer back. */
  readonly onFrame: (bytes: Uint8Array, release: () => void) => void;
  /** Longest image. */
  readonly maxBytes?: number;
}

const MARKER = 0xff;
const START = 0xd8;
const END = 0xd9;

/** Twice an image of 12 megapixels at the quality of libcamera's encoder. */
const MAX_BYTES = 8 * 2 ** 20;
const FIRST_BYTES = 64 * 1024;

export class JpegFrames {
  readonly #options: Required<JpegFramesOptions>;
  #buffer: Uint8Array | undefined;
  #at = 0;
  #isInside = false;
  #last = 0;

  constructor(options: JpegFramesOptions) {
    this.#options = { maxBytes: MAX_BYTES, ...options };
  }

  /** Copies the next bytes of the stream. */
  take(bytes: Uint8Array): void {
    for (const byte of bytes) {
      const marker = this.#last === MARKER ? byte : undefined;
      this.#last = byte;
      if (marker === START) this.#begin();
      else if (this.#isInside) this.#add(byte, marker === END);
    }
  }

  /** Gives the buffer of an unfinished frame back. */
  end(): void {
    if (this.#buffer !== undefined) this.#options.pool.give(this.#buffer);
    this.#buffer = undefined;
    this.#isInside = false;
    this.#last = 0;
  }

  #begin(): void {
    // The marker of the next image is the last byte of this one.
    if (this.#isInside) this.#finish(this.#at - 1);
    this.#isInside = true;
    const buffer = this.#buffer ?? this.#options.pool.take(FIRST_BYTES);
    this.#buffer = buffer;
    buffer.set([MARKER, START]);
    this.#at = 2;
  }

  #add(byte: number, isLast: boolean): void {
    const buffer = this.#roomy();
    buffer[this.#at] = byte;
    this.#at += 1;
    if (isLast || this.#at === this.#options.maxBytes) this.#finish(this.#at);
  }

  /** The buffer, with room for one more byte. */
  #roomy(): Uint8Array {
    const { pool, maxBytes } = this.#options;
    const buffer = this.#buffer ?? pool.take(FIRST_BYTES);
    if (this.#at < buffer.byteLength) return buffer;
    const larger = pool.take(Math.min(2 * buffer.byteLength, maxBytes));
    larger.set(buffer);
    this.#buffer = larger;
    return larger;
  }

  #finish(byteCount: number): void {
    const { pool, onFrame } = this.#options;
    const buffer = this.#buffer;
    this.#buffer = undefined;
    this.#isInside = false;
    if (buffer !== undefined) onFrame(buffer.subarray(0, byteCount), () => pool.give(buffer));
  }
}
