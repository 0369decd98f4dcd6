/**
 * A range option is a way to run a range of layers, with its needs as the search sees them.
 *
 * The modes are whole, streams, tiles and streamed tiles, in several sizes each.
 *
 * Not guaranteed: that the best option is listed. Step sizes, grids and lengths of ranges are limited (knobs.ts). A new
 * mode needs options here, and its case in `Mode`, `Segment`, the predictor and the
 * compiler.
 */

import type { Graph, Node, NodeRange } from '../graph/index.js';
import { elementAt, knownShape, localityOf, tensorAt } from '../graph/index.js';
import type { Predictor, PredictSettings, SessionNeed } from '../predict/index.js';
import {
  BUILT_IN_PROFILE,
  costsFor,
  predictorOf,
  stepRatio,
  tiledSession,
  wholeSession,
} from '../predict/index.js';
import type { AxisCut, AxisTile, Flow, Mode, Space } from '../tile/index.js';
import {
  countUnits,
  flowIn,
  spaceOf,
  streamedTilesOf,
  streamRuleOf,
  tileAxis,
  tilesOf,
  WHOLE,
} from '../tile/index.js';
import { KNOBS } from './knobs.js';
import type { Work } from './work.js';

/** A range of nodes and a mode, with its needs. */
export interface RangeOption extends NodeRange {
  readonly mode: Mode;
  readonly latencyMs: number;
  /** Bytes that stand as long as the segment runs. */
  readonly heldBytes: number;
  /** Bytes of its largest step. */
  readonly stepBytes: number;
  /** Bytes of the rows that its largest step gives. */
  readonly givenBytes: number;
  /** Whether its outputs are written part by part, and so stand as full maps before it is over. */
  readonly parted: boolean;
  /** Rows that it takes and gives in a step. It is undefined if the option can't be linked. */
  readonly flow: RowFlow | undefined;
}

/** Most new rows in any step, by tensor. */
export interface RowFlow {
  /** Rows of inputs. */
  readonly takes: ReadonlyMap<number, number>;
  /** Rows of outputs. */
  readonly gives: ReadonlyMap<number, number>;
}

/** The facts of a graph and its settings that all alternatives share. */
export interface OptionContext {
  readonly graph: Graph;
  readonly settings: PredictSettings;
  readonly predictor: Predictor;
  /** End for each start node. Ranges that end here or later have a barrier, or no room for a stream's first step. */
  readonly ends: Readonly<Record<'tiles' | 'streams', Map<number, number>>>;
}

/** Makes the context of a search. */
export function optionContext(graph: Graph, settings: PredictSettings): OptionContext {
  const predictor = predictorOf(graph, settings, costsFor(settings.profile ?? BUILT_IN_PROFILE, settings));
  return { graph, settings, predictor, ends: { tiles: new Map(), streams: new Map() } };
}

interface ModeNeed {
  readonly mode: Mode;
  readonly need: SessionNeed;
}

function optionOf(
  { from, to }: NodeRange,
  { mode, need: { latencyMs, heldBytes, stepBytes } }: ModeNeed,
  { settings }: OptionContext,
): RangeOption {
  return {
    from,
    to,
    mode,
    latencyMs,
    heldBytes,
    stepBytes: stepRatio(mode.kind, settings) * stepBytes,
    givenBytes: 0,
    parted: mode.kind !== 'whole',
    flow: undefined,
  };
}

/** Lists the options of streaming a range. */
function streamOptions(flow: Flow, context: OptionContext): readonly RangeOption[] {
  const { account, streams } = context.predictor;
  const options: RangeOption[] = [];
  streams.begin(flow);
  for (const rows of KNOBS.streamRows) {
    const session = streams.lay(rows);
    // Where a few rows a step are too many, more rows are, too.
    if (session === undefined) break;
    const need = account.of(session);
    const option = optionOf(flow.range, { mode: { kind: 'stream', rows }, need }, context);
    options.push({ ...option, ...rowsBetween(flow, context) });
  }
  return options;
}

/** Finds the rows that the stream which was laid last takes and gives. */
function rowsBetween(
  { space: { boundary, scales } }: Flow,
  { graph, predictor: { streams: laid } }: OptionContext,
): Pick<RangeOption, 'givenBytes' | 'flow'> {
  const most = (tensors: readonly number[]) =>
    new Map(tensors.map((tensor) => [tensor, scales.has(tensor) ? laid.mostRows(tensor) : 0]));
  const gives = most(boundary.outputs);
  let givenBytes = 0;
  for (const [tensor, rows] of gives) givenBytes += rows * rowBytes(graph, tensor);
  const isLinkable = boundary.inputs.every((tensor) => scales.has(tensor));
  return { givenBytes, flow: isLinkable ? { takes: most(boundary.inputs), gives } : undefined };
}

/** Lists the options of running a range in tiles, each at once. */
function tileOptions(range: NodeRange, space: Space, context: OptionContext): readonly RangeOption[] {
  const { graph, predictor } = context;
  const rowCuts = cutsAlong({ graph, space, axis: 'rows' }, KNOBS.gridSides);
  const colCuts = cutsAlong({ graph, space, axis: 'cols' }, KNOBS.gridSides);
  const grids = rowCuts.flatMap((rowTiles) => colCuts.map((colTiles) => ({ rowTiles, colTiles })));
  return grids
    .filter(({ rowTiles, colTiles }) => rowTiles.length * colTiles.length > 1)
    .map((grid) => {
      const session = tiledSession(graph, predictor.account.kernels, { range, space, grid });
      const mode = tilesOf(grid.rowTiles.length, grid.colTiles.length);
      return optionOf(range, { mode, need: predictor.account.of(session) }, context);
    });
}

/** Cuts along an axis into each number of tiles that the map allows. */
function cutsAlong(cut: AxisCut, sides: readonly number[]): readonly (readonly AxisTile[])[] {
  const units = countUnits(cut);
  const counts = new Set(sides.map((count) => Math.min(count, units)));
  return [...counts].map((count) => tileAxis(cut, count));
}

/** Lists the options of running a range in tiles side by side, each streamed. */
function streamedTileOptions(flow: Flow, context: OptionContext): readonly RangeOption[] {
  const { graph, range, space } = flow;
  const { account, streams } = context.predictor;
  const rowTiles = tileAxis({ graph, space, axis: 'rows' }, 1);
  const options: RangeOption[] = [];
  for (const colTiles of cutsAlong({ graph, space, axis: 'cols' }, KNOBS.streamedCols)) {
    if (colTiles.length === 1) continue;
    for (const units of KNOBS.streamedTileRows) {
      const session = streams.layTiles(flow, { grid: { rowTiles, colTiles }, units });
      if (session === undefined) break;
      const mode = streamedTilesOf({ rows: 1, cols: colTiles.length }, units);
      options.push(optionOf(range, { mode, need: account.of(session) }, context));
    }
  }
  return options;
}

/** Nodes that are predicted for a node of a range, roughly, until all its options are listed. */
const OPTION_WORK = 20;

/** Lists the options of a range. If the work is spent, it is only run whole. */
export function rangeOptions(range: NodeRange, context: OptionContext, work: Work): readonly RangeOption[] {
  const { graph, ends, predictor } = context;
  const { account } = predictor;
  const need = account.of(wholeSession(graph, account.kernels, range));
  const whole = optionOf(range, { mode: WHOLE, need }, context);
  const nodes = range.to - range.from;
  const isBarred = range.to >= (ends.tiles.get(range.from) ?? Number.POSITIVE_INFINITY);
  if (isBarred || nodes > KNOBS.maxStreamedNodes || !work.spend(OPTION_WORK * nodes)) return [whole];
  const result = spaceOf(graph, range);
  if (result.kind === 'barrier') {
    if (endsInBarrier(graph, range, localityOf)) ends.tiles.set(range.from, range.to);
    return [whole];
  }
  const isLong = nodes > KNOBS.maxTiledNodes;
  const tiled = isLong ? [] : tileOptions(range, result.space, context);
  return [whole, ...flowingOptions(range, result.space, context), ...tiled];
}

/** Lists the options of a range that have streams. */
function flowingOptions(range: NodeRange, space: Space, context: OptionContext): readonly RangeOption[] {
  const { graph, ends } = context;
  if (range.to >= (ends.streams.get(range.from) ?? Number.POSITIVE_INFINITY)) return [];
  const flow = flowIn(graph, range, space);
  const streamed = flow === undefined ? [] : streamOptions(flow, context);
  // The first step of a longer range is longer still.
  const isLast = flow === undefined ? endsInBarrier(graph, range, streamRuleOf) : streamed.length === 0;
  if (isLast) ends.streams.set(range.from, range.to);
  const isLong = range.to - range.from > KNOBS.maxTiledNodes;
  return flow === undefined || isLong ? streamed : [...streamed, ...streamedTileOptions(flow, context)];
}

/** Whether a range ends in a node that is a barrier, so that all longer ranges hold it. */
function endsInBarrier(
  graph: Graph,
  { to }: NodeRange,
  ruleOf: (graph: Graph, node: Node) => { readonly kind: string },
): boolean {
  return ruleOf(graph, elementAt(graph.nodes, to - 1)).kind === 'barrier';
}

/** Returns the bytes of one row of a float32 map. */
export function rowBytes(graph: Graph, tensor: number): number {
  const shape = knownShape(tensorAt(graph, tensor));
  return 4 * elementAt(shape, 1) * elementAt(shape, 3);
}
