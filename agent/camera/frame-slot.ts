/** Holds the one frame that waits for its inference. A later frame replaces it. */

/** Counts of frames. The law is captured = taken + replaced + (1 if one waits). */
export interface FrameCounts {
  readonly captured: number;
  /** Frames given to an inference. */
  readonly taken: number;
  /** Frames replaced by a later one before their turn came. */
  readonly replaced: number;
}

export class FrameSlot<T> {
  #frame: { readonly value: T } | undefined;
  #wake: (() => void) | undefined;
  #counts = { captured: 0, taken: 0, replaced: 0 };
  readonly #onReplaced: (value: T) => void;

  /** @param onReplaced called with each frame that is replaced. */
  constructor(onReplaced: (value: T) => void = () => undefined) {
    this.#onReplaced = onReplaced;
  }

  get counts(): FrameCounts {
    return { ...this.#counts };
  }

  offer(value: T): void {
    this.#counts.captured += 1;
    const replaced = this.#frame;
    this.#frame = { value };
    if (replaced !== undefined) {
      this.#counts.replaced += 1;
      this.#onReplaced(replaced.value);
    }
    this.#wake?.();
  }

  /** The waiting frame, or the next one. @throws the signal's reason when it is aborted. */
  async take(signal: AbortSignal): Promise<T> {
    while (this.#frame === undefined) {
      signal.throwIfAborted();
      await this.#arrival(signal);
    }
    const { value } = this.#frame;
    this.#frame = undefined;
    this.#counts.taken += 1;
    return value;
  }

  #arrival(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener('abort', wake);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
