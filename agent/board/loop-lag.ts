/** Whether the event loop stands still: a timer that ticks late shows it. A histogram would wake the agent more often. */

/** A tick that is later is a fault: nothing that the agent does takes so long. */
const MOST_LATE_MS = 5000;

/** Time without a late tick after which the loop counts as good again. */
const CALM_MS = 10_000;

export class LoopLag {
  readonly #intervalMs: number;
  #lastTickMs: number;
  #late: { readonly byMs: number; readonly atMs: number } | undefined;

  /** @param nowMs by a clock that doesn't jump. */
  constructor(intervalMs: number, nowMs: number) {
    this.#intervalMs = intervalMs;
    this.#lastTickMs = nowMs;
  }

  /** To be called at each interval. */
  tick(nowMs: number): void {
    const byMs = nowMs - this.#lastTickMs - this.#intervalMs;
    this.#lastTickMs = nowMs;
    if (byMs > MOST_LATE_MS) this.#late = { byMs, atMs: nowMs };
  }

  /** The fault; undefined if the loop is good. */
  faultAt(nowMs: number): string | undefined {
    if (this.#late === undefined || nowMs - this.#late.atMs >= CALM_MS) return undefined;
    return `the event loop stood still for ${(this.#late.byMs / 1000).toFixed(1)} s`;
  }
}
