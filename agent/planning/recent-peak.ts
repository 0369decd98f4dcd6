/** The largest of the values of the last minute or two, in two halves: no list of values grows with the rate of runs. */
const HALF_MS = 60_000;

export class RecentPeak {
  #startMs = Number.NEGATIVE_INFINITY;
  #now: number | null = null;
  #before: number | null = null;

  /** Null before the first value. */
  get bytes(): number | null {
    return this.#now === null ? null : Math.max(this.#now, this.#before ?? 0);
  }

  /** @param nowMs by a clock that doesn't jump. */
  add(bytes: number, nowMs: number): void {
    if (nowMs - this.#startMs >= HALF_MS) {
      const isNext = nowMs - this.#startMs < 2 * HALF_MS;
      [this.#before, this.#now, this.#startMs] = [isNext ? this.#now : null, bytes, nowMs];
    } else this.#now = Math.max(this.#now ?? 0, bytes);
  }
}
