/**
 * The buffers of one camera's frames, used again and again, so that frames leave nothing to the collector. Three are
 * in use at most: one is read from the camera, one waits, one is run. Frames below 64 KB may come several at a time, and
 * then there are as many more.
 */
export class FramePool {
  readonly #free: Uint8Array[] = [];

  /** A buffer of at least so many bytes, with whatever was in it. Smaller ones that are free are given up. */
  take(leastBytes: number): Uint8Array {
    for (let free = this.#free.pop(); free !== undefined; free = this.#free.pop())
      if (free.byteLength >= leastBytes) return free;
    return new Uint8Array(leastBytes);
  }

  /** Takes a buffer back, once. */
  give(buffer: Uint8Array): void {
    this.#free.push(buffer);
  }
}
