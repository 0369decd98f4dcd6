/**
 * A range option is a way to run a range of layers, with its needs as the search sees them.
 *
 * Each alternative lists the options of one mode: whole, streams, tiles, streamed tiles.
 *
 * Not guaranteed: that the best option is listed. Step sizes, grids and lengths of ranges are limited (knobs.ts). A new
 * mode needs an alternative here, and its case in `Mode`, `Segment`, the predictor and the
 * compiler.
 */

import type { Graph, NodeRange } from '../graph/index.js';
import { elementAt, knownShape, localityOf, tensorAt } from '../graph/index.js';
import type { PredictSettings, WorkAmounts } from '../predict/index.js';
import {
  countWork,
  heldBytes,
  latencyOf,
  predictStepPeaks,
  sessionsOf,
  stepBytes,
  stepRatio,
} from '../predict/index.js';
import type { AxisCut, AxisTile, Flow, Mode, StreamedTilesSegment, TiledSegment } from '../tile/index.js';
import {
  countUnits,
  flowOf,
  modesOf,
  planRange,
  spaceOf,
  streamedTilesOf,
  streamRuleOf,
  tileAxis,
  tilesOf,
  WHOLE,
} from '../tile/index.js';
import { KernelCosts } from './kernel-costs.js';
import { KNOBS } from './knobs.js';
import { RangeMaps } from './range-maps.js';
import { StepCosts } from './step-costs.js';
import { StreamNeeds } from './stream-needs.js';
import { TileNeeds } from './tile-needs.js';
import { WholeRanges } from './whole-ranges.js';
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
  /** Costs in nanoseconds a unit of work. */
  readonly cost: WorkAmounts;
  readonly maps: RangeMaps;
  readonly wholes: WholeRanges;
  readonly streams: StreamNeeds;
  readonly tiles: TileNeeds;
  /** End for each start node: ranges that end here or later can't be streamed, so they are skipped. */
  readonly streamEnds: Map<number, number>;
  /** End for each start node: ranges that end here or later can't be tiled, so they are skipped. */
  readonly tileEnds: Map<number, number>;
}

/** Makes the context of a search. @param cost is in nanoseconds a unit of work. */
export function optionContext(graph: Graph, settings: PredictSettings, cost: WorkAmounts): OptionContext {
  const costs = new StepCosts(new KernelCosts(graph, { settings, cost }), cost);
  const maps = new RangeMaps(graph);
  return {
    graph,
    settings,
    cost,
    maps,
    wholes: new WholeRanges(maps, { graph, settings, cost }),
    streams: new StreamNeeds(graph, costs),
    tiles: new TileNeeds(graph, costs),
    streamEnds: new Map(),
    tileEnds: new Map(),
  };
}

/** A function that lists the options of one range in one mode. */
type Alternative = (range: NodeRange, context: OptionContext) => readonly RangeOption[];

const whole: Alternative = (range, { wholes }) => {
  const { latencyMs, heldBytes, stepBytes: bytes } = wholes.of(range);
  return [
    {
      ...range,
      mode: WHOLE,
      latencyMs,
      heldBytes,
      stepBytes: bytes,
      givenBytes: 0,
      parted: false,
      flow: undefined,
    },
  ];
};

const streams: Alternative = (range, context) => {
  const { graph, streamEnds } = context;
  if (range.to >= (streamEnds.get(range.from) ?? Number.POSITIVE_INFINITY)) return [];
  const flow = flowOf(graph, range);
  if (flow === undefined) {
    if (hasStreamBarrier(graph, range)) streamEnds.set(range.from, range.to);
    return [];
  }
  context.streams.begin(flow);
  const options: RangeOption[] = [];
  for (const rows of KNOBS.streamRows) {
    const option = streamOption(flow, rows, context);
    if (option === undefined) break;
    options.push(option);
  }
  // The first step of a longer range is longer still.
  if (options.length === 0) streamEnds.set(range.from, range.to);
  return options;
};

function hasStreamBarrier(graph: Graph, { from, to }: NodeRange): boolean {
  return graph.nodes.slice(from, to).some((node) => streamRuleOf(graph, node).kind === 'barrier');
}

function streamOption(
  flow: Flow,
  units: number,
  { graph, settings, streams: needs }: OptionContext,
): RangeOption | undefined {
  const need = needs.of(units);
  if (need === undefined) return undefined;
  const { boundary, scales } = flow.space;
  const most = (tensors: readonly number[]) =>
    new Map(tensors.map((tensor) => [tensor, scales.has(tensor) ? needs.mostRows(tensor) : 0]));
  const gives = most(boundary.outputs);
  let givenBytes = 0;
  for (const [tensor, rows] of gives) givenBytes += rows * rowBytes(graph, tensor);
  return {
    from: flow.range.from,
    to: flow.range.to,
    mode: { kind: 'stream', rows: units },
    ...need,
    stepBytes: stepRatio('stream', settings) * need.stepBytes,
    givenBytes,
    parted: true,
    flow: boundary.inputs.every((tensor) => scales.has(tensor))
      ? { takes: most(boundary.inputs), gives }
      : undefined,
  };
}

const tiles: Alternative = (range, context) => {
  const { graph, tileEnds } = context;
  if (range.to >= (tileEnds.get(range.from) ?? range.from + KNOBS.maxTiledNodes + 1)) return [];
  const result = spaceOf(graph, range);
  if (result.kind === 'barrier') {
    const last = elementAt(graph.nodes, range.to - 1);
    if (localityOf(graph, last).kind === 'barrier') tileEnds.set(range.from, range.to);
    return [];
  }
  const { space } = result;
  const rowCuts = cutsAlong({ graph, space, axis: 'rows' }, KNOBS.gridSides);
  const colCuts = cutsAlong({ graph, space, axis: 'cols' }, KNOBS.gridSides);
  context.tiles.begin(range, space);
  const options: RangeOption[] = [];
  for (const rowTiles of rowCuts) {
    for (const colTiles of colCuts) {
      if (rowTiles.length * colTiles.length === 1) continue;
      const mode = tilesOf(rowTiles.length, colTiles.length);
      const need = context.tiles.of(rowTiles, colTiles);
      const bytes = stepRatio('tiles', context.settings) * need.stepBytes;
      options.push({
        ...range,
        mode,
        ...need,
        stepBytes: bytes,
        givenBytes: 0,
        parted: true,
        flow: undefined,
      });
    }
  }
  return options;
};

/** Cuts along an axis into each number of tiles that the map allows. */
function cutsAlong(cut: AxisCut, sides: readonly number[]): readonly (readonly AxisTile[])[] {
  const units = countUnits(cut);
  const counts = new Set(sides.map((count) => Math.min(count, units)));
  return [...counts].map((count) => tileAxis(cut, count));
}

const streamedTiles: Alternative = (range, context) => {
  const { graph } = context;
  if (range.to - range.from > KNOBS.maxTiledNodes || hasStreamBarrier(graph, range)) return [];
  return KNOBS.streamedCols.flatMap((cols) => {
    const options: RangeOption[] = [];
    for (const rows of KNOBS.streamedTileRows) {
      const [segment] = planRange(graph, range, streamedTilesOf({ rows: 1, cols }, rows));
      // Where a few rows a step are too many, more rows are, too.
      if (segment?.kind !== 'streamed-tiles') break;
      options.push(...tiledOption(segment, context));
    }
    return options;
  });
};

function tiledOption(
  segment: TiledSegment | StreamedTilesSegment,
  { graph, settings, cost }: OptionContext,
): readonly RangeOption[] {
  const { from, to } = segment;
  const { mode } = elementAt(modesOf(segment), 0);
  return sessionsOf(graph, segment).map((session) => {
    const peaks = predictStepPeaks(graph, session, settings);
    return {
      from,
      to,
      mode,
      latencyMs: latencyOf(countWork(graph, session, peaks), cost),
      heldBytes: heldBytes(graph, segment.kind, session),
      stepBytes: stepRatio(segment.kind, settings) * stepBytes(peaks),
      givenBytes: 0,
      parted: true,
      flow: undefined,
    };
  });
}

/** Alternatives to running whole. */
const ALTERNATIVES: readonly Alternative[] = [streams, tiles, streamedTiles];

/** Nodes that are predicted for a node of a range, roughly, until all its options are listed. */
const OPTION_WORK = 20;

/** Lists the options of a range. If work is short, it is only run whole. */
export function rangeOptions(range: NodeRange, context: OptionContext, work: Work): readonly RangeOption[] {
  const nodes = range.to - range.from;
  if (nodes > KNOBS.maxStreamedNodes || !work.spend(OPTION_WORK * nodes)) return whole(range, context);
  return [...whole(range, context), ...ALTERNATIVES.flatMap((alternative) => alternative(range, context))];
}

/** Returns the bytes of one row of a float32 map. */
export function rowBytes(graph: Graph, tensor: number): number {
  const shape = knownShape(tensorAt(graph, tensor));
  return 4 * elementAt(shape, 1) * elementAt(shape, 3);
}
