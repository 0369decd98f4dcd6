/**
 * A range option is a way to run a range of layers, with its needs as the search sees them.
 *
 * 1. Each alternative lists the options of one mode: whole, streams, tiles, streamed tiles.
 * 2. LEAN_ALTERNATIVES compute nothing twice. SHORT_ALTERNATIVES are looked at where memory is very short.
 *
 * Not guaranteed: that the best option is listed. Step sizes, grids and lengths of ranges are limited, more so in
 * graphs of many nodes. A new mode needs an alternative here, and its case in `Mode`, `Segment`, the predictor and the
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
import { RangeMaps } from './range-maps.js';
import { MANY_NODES } from './search-cuts.js';
import { StepCosts } from './step-costs.js';
import { StreamNeeds } from './stream-needs.js';
import { TileNeeds } from './tile-needs.js';
import { WholeRanges } from './whole-ranges.js';

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
  /** Number of step sizes and grids that are tried: few where there are many ranges. */
  readonly choice: 'few' | 'many';
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
    choice: graph.nodes.length < MANY_NODES ? 'many' : 'few',
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
export type Alternative = (range: NodeRange, context: OptionContext) => readonly RangeOption[];

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

/** Part of the untiled network's need below which a range is only run whole. Chosen, not measured. */
const SMALL_PART = { few: 1 / 8, many: 0 } as const;

/** Whether a range that runs whole needs so little, with the maps that stand meanwhile, that any budget will do. */
function isSmall(range: NodeRange, { graph, maps, wholes, choice }: OptionContext): boolean {
  const needOf = (one: NodeRange) => {
    const { heldBytes, stepBytes } = wholes.of(one);
    return elementAt(maps.from(0).outputBytes, one.from) + heldBytes + stepBytes;
  };
  return needOf(range) < SMALL_PART[choice] * needOf({ from: 0, to: graph.nodes.length });
}

/** Steps that are tried, in total strides. Sizes between hardly differ for the predictor. Chosen, not measured. */
const STREAM_ROWS = { few: [1, 4, 16], many: [1, 2, 4, 8, 16, 32] } as const;

/** Most nodes of one stream. Longer ranges carry rows of more operators; links do better. Chosen, not measured. */
const MAX_STREAMED_NODES = 40;

const streams: Alternative = (range, context) => {
  const { graph, streamEnds, choice } = context;
  if (isSmall(range, context)) return [];
  if (range.to >= (streamEnds.get(range.from) ?? range.from + MAX_STREAMED_NODES + 1)) return [];
  const flow = flowOf(graph, range);
  if (flow === undefined) {
    if (hasStreamBarrier(graph, range)) streamEnds.set(range.from, range.to);
    return [];
  }
  context.streams.begin(flow);
  const options: RangeOption[] = [];
  for (const rows of STREAM_ROWS[choice]) {
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

/** Rows and columns of grids that are tried. Chosen, not measured. */
const GRID_SIDES = { few: [1, 2, 3], many: [1, 2, 3, 5] } as const;

/** Most nodes of a tiled range. Longer ranges are mostly halo. Chosen, not measured. */
const MAX_TILED_NODES = 24;

const tiles: Alternative = (range, context) => {
  const { graph, tileEnds, choice } = context;
  if (isSmall(range, context)) return [];
  if (range.to >= (tileEnds.get(range.from) ?? range.from + MAX_TILED_NODES + 1)) return [];
  const result = spaceOf(graph, range);
  if (result.kind === 'barrier') {
    const last = elementAt(graph.nodes, range.to - 1);
    if (localityOf(graph, last).kind === 'barrier') tileEnds.set(range.from, range.to);
    return [];
  }
  const { space } = result;
  const rowCuts = cutsAlong({ graph, space, axis: 'rows' }, GRID_SIDES[choice]);
  const colCuts = cutsAlong({ graph, space, axis: 'cols' }, GRID_SIDES[choice]);
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

/** Columns of streamed tiles that are tried. More rows of tiles would be halo without a gain. Chosen, not measured. */
const STREAMED_COLS = [2, 3];

const streamedTiles: Alternative = (range, context) => {
  const { graph } = context;
  if (range.to - range.from > MAX_TILED_NODES || hasStreamBarrier(graph, range)) return [];
  return STREAMED_COLS.flatMap((cols) => {
    const options: RangeOption[] = [];
    for (const rows of STREAM_ROWS.few) {
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

/** Alternatives without recomputation. They are cheap to plan, and the fastest where memory isn't very short. */
export const LEAN_ALTERNATIVES: readonly Alternative[] = [whole, streams];

/** Alternatives that are tried in addition to the lean ones where memory is very short. */
export const SHORT_ALTERNATIVES: readonly Alternative[] = [tiles, streamedTiles];

/** Returns the bytes of one row of a float32 map. */
export function rowBytes(graph: Graph, tensor: number): number {
  const shape = knownShape(tensorAt(graph, tensor));
  return 4 * elementAt(shape, 1) * elementAt(shape, 3);
}
