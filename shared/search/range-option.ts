/**
 * A range option is a way to run a range of layers, with its needs as the search sees them.
 *
 * The modes are whole, tiles, streams and streamed tiles, in several sizes each.
 *
 * Not guaranteed: that the best option is listed. Step sizes, grids and lengths of ranges are limited (knobs.ts). A new
 * mode needs options here, and its case in `Mode`, `Segment`, the predictor and the compiler.
 */

import type { Graph, Node, NodeRange } from '../graph/index.js';
import { BYTES_PER_ELEMENT, elementAt, knownShape, localityOf, tensorAt } from '../graph/index.js';
import type { Predictor, PredictSettings, RangeMaps, SessionSteps } from '../predict/index.js';
import {
  allocatedBytes,
  BUILT_IN_PROFILE,
  costsFor,
  feedsQuantizer,
  interpolatesOtherwise,
  judgeSession,
  predictorOf,
  rangeMapsOf,
  tiledSession,
  tileFlows,
  wholeSession,
} from '../predict/index.js';
import type { AxisTile, Flow, Mode, Space } from '../tile/index.js';
import {
  countUnits,
  flowIn,
  sizeAlong,
  spaceOf,
  streamedTilesOf,
  streamRuleOf,
  tileAxis,
  tilesOf,
  WHOLE,
} from '../tile/index.js';
import type { Knobs } from './knobs.js';
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
  /** Bytes of its outputs, if they are written part by part and so stand as full maps before it is over. */
  readonly leftBytes: number;
  /** Rows that it takes and gives in a step. It is undefined if the option can't be linked. */
  readonly flow: RowFlow | undefined;
}

/** The rows of a stream that a link before or after it waits for. */
export interface RowFlow {
  /** Maps that it reads. */
  readonly takes: readonly Feed[];
  /** Most new rows in any step, by output. */
  readonly gives: ReadonlyMap<number, number>;
  /** Bytes of `gives`. */
  readonly givenBytes: number;
}

/** A map that a link reads. */
export interface Feed {
  readonly tensor: number;
  /** Most new rows that the link takes in a step. */
  readonly takes: number;
  /** Rows of the full map. */
  readonly rows: number;
  readonly rowBytes: number;
  /** Position of the node that makes the map. It is -1 for an input of the graph. */
  readonly maker: number;
  /** Position of the last node that reads the map. It is infinite for an output of the graph. */
  readonly lastRead: number;
}

/** The facts of a graph and its settings that all options share. */
export interface OptionContext {
  readonly graph: Graph;
  readonly settings: PredictSettings;
  readonly knobs: Knobs;
  readonly maps: RangeMaps;
  readonly predictor: Predictor;
  /** End for each start node. Ranges that end here or later have a barrier, or no room for a stream's first step. */
  readonly ends: Readonly<Record<'tiles' | 'streams', Map<number, number>>>;
}

/** Makes the context of a search. */
export function optionContext(graph: Graph, settings: PredictSettings, knobs = KNOBS): OptionContext {
  const predictor = predictorOf(graph, settings, costsFor(settings.profile ?? BUILT_IN_PROFILE, settings));
  const maps = rangeMapsOf(graph);
  return { graph, settings, knobs, maps, predictor, ends: { tiles: new Map(), streams: new Map() } };
}

/**
 * Accounts for a session as an option that can't be linked.
 * @returns no option if its roundings would become steps of a quantiser.
 */
function optionOf(
  session: SessionSteps,
  mode: Mode,
  { graph, settings, maps, predictor: { account } }: OptionContext,
): readonly RangeOption[] {
  const { from, to } = session.range;
  const isWhole = mode.kind === 'whole';
  const judged = feedsQuantizer(graph, session.range)
    ? judgeSession(graph, session, { ...settings, mode: mode.kind })
    : undefined;
  const need = account.of(judged?.session ?? session);
  if (judged?.isBitExact() === false) return [];
  const option: RangeOption = {
    from,
    to,
    mode,
    latencyMs: need.latencyMs,
    heldBytes: need.heldBytes,
    stepBytes: allocatedBytes(mode.kind, need, settings),
    leftBytes: isWhole ? 0 : maps.left(from, to),
    flow: undefined,
  };
  return [option];
}

/** A range without barriers, and the ways to cut its columns. */
interface LocalRange {
  readonly range: NodeRange;
  readonly space: Space;
  readonly colCuts: AxisCuts;
}

/** Ways to cut an axis into tiles. */
type AxisCuts = readonly (readonly AxisTile[])[];

/** Cuts an axis into each number of tiles that is tried and that the map allows. */
function cutsAlong(axis: 'rows' | 'cols', space: Space, { graph, knobs }: OptionContext): AxisCuts {
  const cut = { graph, space, axis };
  const units = countUnits(cut);
  const counts = new Set(knobs.gridSides.map((count) => Math.min(count, units)));
  return [...counts].map((count) => tileAxis(cut, count));
}

/** Lists the options of running a range in tiles, each at once. */
function tileOptions({ range, space, colCuts }: LocalRange, context: OptionContext): readonly RangeOption[] {
  const { graph, predictor } = context;
  return cutsAlong('rows', space, context).flatMap((rowTiles) =>
    colCuts.flatMap((colTiles) => {
      const mode = tilesOf(rowTiles.length, colTiles.length);
      if (mode === WHOLE) return [];
      const grid = { rowTiles, colTiles };
      return optionOf(tiledSession(graph, predictor.account.kernels, { range, space, grid }), mode, context);
    }),
  );
}

/** Lists the options of streaming a range, over all columns or in tiles side by side. */
function streamOptions(flow: Flow, colCuts: AxisCuts, context: OptionContext): readonly RangeOption[] {
  const { graph, space } = flow;
  const rowTiles = tileAxis({ graph, space, axis: 'rows' }, 1);
  return colCuts.flatMap((colTiles) => {
    const shapes = tileFlows(flow, { rowTiles, colTiles });
    const options: RangeOption[] = [];
    for (const rows of context.knobs.streamRows) {
      const session = context.predictor.streams.lay(shapes, rows);
      // Where a few rows a step are too many, more rows are, too.
      if (session === undefined) break;
      const mode = streamedTilesOf({ rows: 1, cols: colTiles.length }, rows);
      for (const option of optionOf(session, mode, context))
        options.push(colTiles.length > 1 ? option : { ...option, flow: rowFlow(flow, context) });
    }
    return options;
  });
}

/** Finds the rows that the stream which was laid last takes and gives. @returns undefined if it can't be linked. */
function rowFlow(
  { space: { boundary, scales } }: Flow,
  { graph, maps, predictor: { streams } }: OptionContext,
): RowFlow | undefined {
  if (boundary.inputs.some((tensor) => !scales.has(tensor))) return undefined;
  const gives = new Map<number, number>();
  let givenBytes = 0;
  for (const tensor of boundary.outputs) {
    const rows = scales.has(tensor) ? streams.mostRows(tensor) : 0;
    gives.set(tensor, rows);
    givenBytes += rows * rowBytes(graph, tensor);
  }
  const takes = boundary.inputs.map((tensor) => ({
    tensor,
    takes: streams.mostRows(tensor),
    rows: sizeAlong(graph, tensor, 'rows'),
    rowBytes: rowBytes(graph, tensor),
    maker: elementAt(maps.maker, tensor),
    lastRead: elementAt(maps.lastRead, tensor),
  }));
  return { takes, gives, givenBytes };
}

/** Returns the bytes of one row of a map. */
function rowBytes(graph: Graph, tensor: number): number {
  const { dtype } = tensorAt(graph, tensor);
  const shape = knownShape(tensorAt(graph, tensor));
  return BYTES_PER_ELEMENT[dtype] * elementAt(shape, 1) * elementAt(shape, 3);
}

/** Nodes that are predicted for a node of a range, roughly, until all its options are listed. */
const OPTION_WORK = 20;

/** Lists all options of a range. If the work is spent, it is only run whole. */
function listOptions(range: NodeRange, context: OptionContext, work: Work): readonly RangeOption[] {
  const { graph, ends, predictor, knobs } = context;
  const { from, to } = range;
  const whole = optionOf(wholeSession(graph, predictor.account.kernels, range), WHOLE, context);
  if (isAtEnd(ends.tiles, range) || to - from > knobs.maxNodes || !work.spend(OPTION_WORK * (to - from)))
    return whole;
  const result = spaceOf(graph, range);
  if (result.kind === 'barrier') {
    if (endsInBarrier(graph, range, localityOf)) ends.tiles.set(from, to);
    return whole;
  }
  const { space } = result;
  const local = { range, space, colCuts: cutsAlong('cols', space, context) };
  return [...whole, ...flowingOptions(local, context), ...tileOptions(local, context)];
}

/** Lists the options of a range, without those that interpolate otherwise than the untiled network. */
export function rangeOptions(range: NodeRange, context: OptionContext, work: Work): readonly RangeOption[] {
  const { graph, settings } = context;
  const differs = (kind: Mode['kind']) =>
    interpolatesOtherwise(graph, range, { mode: kind, level: settings.level });
  // A cut right before an interpolation counts for all modes.
  if (differs('whole')) return [];
  const options = listOptions(range, context, work);
  return options.filter(({ mode }) => !differs(mode.kind));
}

/** Lists the options of a range that have streams. */
function flowingOptions(
  { range, space, colCuts }: LocalRange,
  context: OptionContext,
): readonly RangeOption[] {
  const { graph, ends } = context;
  if (isAtEnd(ends.streams, range)) return [];
  const flow = flowIn(graph, range, space);
  const options = flow === undefined ? [] : streamOptions(flow, colCuts, context);
  // The first step of a longer range is longer still.
  const isLast =
    flow === undefined
      ? endsInBarrier(graph, range, streamRuleOf)
      : options.length === 0 && !feedsQuantizer(graph, range);
  if (isLast) ends.streams.set(range.from, range.to);
  return options;
}

/** Whether a range is known to have no options of a kind, since a shorter one has none. */
function isAtEnd(ends: ReadonlyMap<number, number>, { from, to }: NodeRange): boolean {
  return to >= (ends.get(from) ?? Number.POSITIVE_INFINITY);
}

/** Whether a range ends in a node that is a barrier, so that all longer ranges hold it. */
function endsInBarrier(
  graph: Graph,
  { to }: NodeRange,
  ruleOf: (graph: Graph, node: Node) => { readonly kind: string },
): boolean {
  return ruleOf(graph, elementAt(graph.nodes, to - 1)).kind === 'barrier';
}
