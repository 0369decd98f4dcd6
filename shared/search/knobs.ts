/**
 * The knobs of the search, in one record. docs/benchmarks.md, "The search", says what each is worth, by bench/ablation.
 */

/** What bounds a search. */
export interface Knobs {
  /** Steps of streams that are tried, in total strides. */
  readonly streamRows: readonly number[];
  /** Rows and columns of grids that are tried. Streamed tiles have columns alone, since more rows would be halo. */
  readonly gridSides: readonly number[];
  /** Most nodes of a range that is streamed or tiled. */
  readonly maxNodes: number;
  /** Ratio of the bytes that cross a cut to those near it, above which it is left out (search-cuts.ts). */
  readonly peakRatio: number;
  /** Most nodes of all ranges together, by their options. More make cuts leave (search-cuts.ts). */
  readonly rangeNodes: number;
  /** Ratio of the bytes of neighbouring buckets of chains. */
  readonly chainRatio: number;
  /** Ratio of the needs of neighbouring buckets of plans. */
  readonly labelRatio: number;
  /** Part by which a plan must be faster than a smaller one. The predictor can't tell less apart. */
  readonly worth: number;
  /** Most work of a search for each node of the graph (work.ts). */
  readonly workPerNode: number;
}

export const KNOBS: Knobs = {
  streamRows: [1, 2, 4, 8, 16],
  gridSides: [1, 2, 3, 5],
  maxNodes: 40,
  peakRatio: 4,
  rangeNodes: 10_000,
  chainRatio: 1.06,
  labelRatio: 1.0003,
  worth: 0.001,
  workPerNode: 50_000,
};
