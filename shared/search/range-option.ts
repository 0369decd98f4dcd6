/**
 * Ways to run a range of layers, each with what the search needs to know of it and nothing more: another way to
 * run a convolution, or another mode, is one more entry in LEAN_ALTERNATIVES or SHORT_ALTERNATIVES.
 */

import type { Graph, NodeRange } from '../graph/index.js';
import { localityOf, tensorAt } from '../graph/index.js';
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
import { LARGE_GRAPH } from './search-cuts.js';
import { StepCosts } from './step-costs.js';
import { StreamNeeds } from './stream-needs.js';
import { TileNeeds } from './tile-needs.js';
import { WholeRanges } from './whole-ranges.js';

export interface RangeOption extends NodeRange {
  readonly mode: Mode;
  readonly latencyMs: number;
  /** Bytes that stand as long as the segment runs, and those of its largest step. */
  readonly heldBytes: number;
  readonly stepBytes: number;
  /** Bytes of the rows that its largest step gives. */
  readonly givenBytes: number;
  /** Its outputs are written part by part, so they stand as full maps before it is over. */
  readonly parted: boolean;
  /** How it takes and gives rows; undefined if it can't be linked. */
  readonly flow: RowFlow | undefined;
}

/** Most new rows in any step, of inputs and outputs with space; and bytes of a row. */
export interface RowFlow {
  readonly takes: ReadonlyMap<number, number>;
  readonly gives: ReadonlyMap<number, number>;
}

export interface OptionContext {
  readonly graph: Graph;
  readonly settings: PredictSettings;
  /** Of step sizes, grids and lengths: few where there are many ranges. */
  readonly choice: 'few' | 'many';
  /** Nanoseconds a unit of work. */
  readonly cost: WorkAmounts;
  readonly maps: RangeMaps;
  readonly wholes: WholeRanges;
  readonly streams: StreamNeeds;
  readonly tiles: TileNeeds;
  /** By start: the first end from which on no range can be streamed, or tiled. */
  readonly streamEnds: Map<number, number>;
  readonly tileEnds: Map<number, number>;
}

export function optionContext(graph: Graph, settings: PredictSettings, cost: WorkAmounts): OptionContext {
  const costs = new StepCosts(new KernelCosts(graph, { settings, cost }), cost);
  const maps = new RangeMaps(graph);
  return {
    graph,
    settings,
    choice: graph.nodes.length < LARGE_GRAPH ? 'many' : 'few',
    cost,
    maps,
    wholes: new WholeRanges(maps, { graph, settings, cost }),
    streams: new StreamNeeds(graph, costs),
    tiles: new TileNeeds(graph, costs),
    streamEnds: new Map(),
    tileEnds: new Map(),
  };
}

/** Lists the options of one range. */
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

/** Parts of what the untiled network needs, below which ranges are run whole where there are many. */
const SMALL_PART = { few: 1 / 8, many: 0 } as const;

/** Whether a range needs so little untiled, with the maps that stand meanwhile, that no budget will be short of it. */
function isSmall(range: NodeRange, { graph, maps, wholes, choice }: OptionContext): boolean {
  const needOf = (one: NodeRange) => {
    const { heldBytes, stepBytes } = wholes.of(one);
    return (maps.from(0).outputBytes[one.from] ?? 0) + heldBytes + stepBytes;
  };
  return needOf(range) < SMALL_PART[choice] * needOf({ from: 0, to: graph.nodes.length });
}

/** Steps that are tried: finer ones differ by less than the predictor knows. Fewer where there are many ranges. */
const STREAM_ROWS = { few: [1, 4, 16], many: [1, 2, 4, 8, 16, 32] } as const;

/** Longer streams are longer halos; links do better. */
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

/** Rows and columns of grids that are tried. */
const GRID_SIDES = { few: [1, 2, 3], many: [1, 2, 3, 5] } as const;

/** Longer ranges are mostly halo. */
const MAX_TILED_NODES = 24;

const tiles: Alternative = (range, context) => {
  const { graph, tileEnds, choice } = context;
  if (isSmall(range, context)) return [];
  if (range.to >= (tileEnds.get(range.from) ?? range.from + MAX_TILED_NODES + 1)) return [];
  const result = spaceOf(graph, range);
  if (result.kind === 'barrier') {
    const last = graph.nodes[range.to - 1];
    if (last === undefined || localityOf(graph, last).kind === 'barrier') tileEnds.set(range.from, range.to);
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

/** Tiles along an axis, for each number of them that the map allows. */
function cutsAlong(cut: AxisCut, sides: readonly number[]): readonly (readonly AxisTile[])[] {
  const units = countUnits(cut);
  const counts = new Set(sides.map((count) => Math.min(count, units)));
  return [...counts].map((count) => tileAxis(cut, count));
}

/** Columns of streamed tiles that are tried: their rows are shorter. More rows of tiles would be halo for nothing. */
const STREAMED_COLS = [2, 3];

const streamedTiles: Alternative = (range, context) => {
  const { graph } = context;
  if (range.to - range.from > MAX_TILED_NODES || hasStreamBarrier(graph, range)) return [];
  return STREAMED_COLS.flatMap((cols) => {
    const options: RangeOption[] = [];
    for (const rows of STREAM_ROWS.few) {
      const [segment] = planRange(graph, range, streamedTilesOf({ rows: 1, cols }, rows));
      // Where a few rows are too many, more are.
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
  const [{ mode } = { mode: WHOLE }] = modesOf(segment);
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

/** Without recomputation: cheap to plan, and the fastest where memory isn't very short. */
export const LEAN_ALTERNATIVES: readonly Alternative[] = [whole, streams];

/** Looked at on top of those where memory is very short. */
export const SHORT_ALTERNATIVES: readonly Alternative[] = [tiles, streamedTiles];

/** Bytes of one row of a map. */
export function rowBytes(graph: Graph, tensor: number): number {
  const [, channels = 1, , cols = 1] = tensorAt(graph, tensor).shape ?? [];
  return 4 * channels * cols;
}
