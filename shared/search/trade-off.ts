/** A trade-off of memory and latency: a plan, or a part of one. */
export interface TradeOff {
  readonly needBytes: number;
  readonly latencyMs: number;
}

/** Sorts trade-offs by need, and drops all that aren't faster than a smaller one, by more than a part `worth`. */
export function withoutBeaten<T extends TradeOff>(all: readonly T[], worth = 0): readonly T[] {
  let mostMs = Number.POSITIVE_INFINITY;
  return all
    .toSorted((a, b) => a.needBytes - b.needBytes || a.latencyMs - b.latencyMs)
    .filter(({ latencyMs }) => {
      const isFaster = latencyMs < mostMs;
      if (isFaster) mostMs = latencyMs * (1 - worth);
      return isFaster;
    });
}
