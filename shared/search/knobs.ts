/** The knobs of the search, in one record. docs/benchmarks.md, "The search", says what each is worth. */
export const KNOBS = {
  /** Steps of streams that are tried, in total strides. */
  streamRows: [1, 2, 4, 8, 16, 32],
  /** Most nodes of one stream. Longer ranges carry rows of more operators; links do better. */
  maxStreamedNodes: 40,
  /** Rows and columns of grids that are tried. */
  gridSides: [1, 2, 3, 5],
  /** Most nodes of a tiled range. Longer ranges are mostly halo. */
  maxTiledNodes: 24,
  /** Columns of streamed tiles that are tried. More rows of tiles would be halo without a gain. */
  streamedCols: [2, 3],
  /** Steps of streamed tiles that are tried, in total strides. */
  streamedTileRows: [1, 4, 16],
  /** Part of a chain's bytes that the full map at a cut must have for a link there to be tried. */
  linkFrom: 0.03,
  /** Ratio of the bytes of neighbouring buckets of chains. */
  chainRatio: 1.06,
  /** Ratio of the needs of neighbouring buckets of plans. */
  labelRatio: 1.003,
  /** Most work of a search for each node of the graph (work.ts). */
  workPerNode: 50_000,
} as const;
