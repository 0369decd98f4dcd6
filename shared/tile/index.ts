/**
 * The exact geometry of tiles and streams. It holds intervals, halos, schedules, and the proofs that a step has
 * all rows it needs.
 */
export type { Interval } from './interval.js';
export { intersect, isEmpty } from './interval.js';
export type { LinkStep } from './link-order.js';
export type { Mode } from './mode.js';
export { formatMode, parseMode, streamedTilesOf, tilesOf, WHOLE } from './mode.js';
export type {
  Segment,
  StreamedSegment,
  StreamedTilesSegment,
  TiledSegment,
  WholeSegment,
} from './segment.js';
export { linkStreams, modesOf, planRange } from './segment.js';
export type { ShapeOf } from './shape-of.js';
export type { Space } from './space.js';
export { sizeAlong, spaceOf } from './space.js';
export type { Phase, Stream, StreamCrop, StreamLink, StreamOperand } from './stream.js';
export { cropOf, isChanged, operandOf, PHASES, phasesOf, streamBy } from './stream.js';
export type { Edge, Flow } from './stream-flow.js';
export { flowIn, flowOf } from './stream-flow.js';
export { buildLinkGraph } from './stream-graph.js';
export type { LinkLayout, MadeCrop, MadeOperand } from './stream-layout.js';
export { layoutLink } from './stream-layout.js';
export { STREAMED_TYPES, streamRuleOf } from './stream-rule.js';
export { rowsAt, StreamSchedule } from './stream-schedule.js';
export type { AxisCut, AxisTile, Grid, Tile } from './tile-axis.js';
export { countUnits, tileAxis } from './tile-axis.js';
export type { TileKind } from './tile-shape.js';
export { tileGraph, tileShapes, tilesByShape, wholeShapes } from './tile-shape.js';
export type { TileStream } from './tile-stream.js';
