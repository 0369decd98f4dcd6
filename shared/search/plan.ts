/**
 * A plan: segments in order, each with its geometry and what it is predicted to need. The same graph,
 * notation and settings always give the same plan.
 */
import type { Graph, NodeRange } from '../graph/index.js';
import type { PredictSettings, RunSettings, SegmentPrediction, WorkAmounts } from '../predict/index.js';
import {
  countWork,
  emptyWork,
  predictSegments,
  predictStepPeaks,
  sessionsOf,
  WORK_KINDS,
} from '../predict/index.js';
import type { Segment } from '../tile/index.js';
import { linkStreams, modesOf, planRange } from '../tile/index.js';
import type { PlanNotation } from './notation.js';
import { formatPlan } from './notation.js';

export interface PlannedSegment {
  readonly segment: Segment;
  readonly prediction: SegmentPrediction;
}

/** Goes up when the same graph and budget may give another plan or prediction: stored plans are of one version. */
export const PLANNER_VERSION = '6';

export interface Plan {
  readonly notation: string;
  readonly settings: RunSettings;
  readonly segments: readonly PlannedSegment[];
  readonly predicted: PlanPrediction;
}

/** Bytes. `peakBytes` = `workingBytes` + mapped weights of the largest segment, `weightsBytes`. */
export interface PlanPrediction {
  readonly workingBytes: number;
  readonly weightsBytes: number;
  readonly peakBytes: number;
  /** By the device's profile, or the built-in one. */
  readonly latencyMs: number;
}

/** How much of `peakBytes` a budget bounds: with evictable weights, these come and go with the page cache. */
export type WeightsPolicy = 'resident' | 'evictable';

export function budgetedBytes(predicted: PlanPrediction, weights: WeightsPolicy): number {
  return weights === 'resident' ? predicted.peakBytes : predicted.workingBytes;
}

/** @throws {RangeError} if a cut is no layer of the graph. */
export function buildPlan(graph: Graph, notation: PlanNotation, settings: PredictSettings): Plan {
  const segments = segmentsOf(graph, notation);
  const predictions = predictSegments(graph, segments, settings);
  const workingBytes = Math.max(...predictions.map((item) => item.workingBytes));
  const weightsBytes = Math.max(...predictions.map((item) => item.weightsBytes));
  return {
    notation: describeSegments(graph, segments),
    settings: { level: settings.level, malloc: settings.malloc ?? 'trimmed', threads: settings.threads },
    segments: segments.flatMap((segment, at) => {
      const prediction = predictions[at];
      return prediction === undefined ? [] : [{ segment, prediction }];
    }),
    predicted: {
      workingBytes,
      weightsBytes,
      peakBytes: workingBytes + weightsBytes,
      latencyMs: predictions.reduce((sum, item) => sum + item.latencyMs, 0),
    },
  };
}

/** Amounts of work of a plan, from which a profile makes its latency. */
export function countPlanWork(graph: Graph, { segments, settings }: Plan): WorkAmounts {
  const sum = emptyWork();
  for (const { segment } of segments) {
    for (const session of sessionsOf(graph, segment)) {
      const work = countWork(graph, session, predictStepPeaks(graph, session, settings));
      for (const kind of WORK_KINDS) sum[kind] += work[kind];
    }
  }
  return settings.malloc === 'retained' ? { ...sum, faultedBytes: 0, hugeBytes: 0 } : sum;
}

/** What really runs, in a notation's words. */
export function describeSegments(graph: Graph, segments: readonly Segment[]): string {
  const parts = segments.flatMap(modesOf);
  const layerOf = ({ from }: NodeRange) => graph.nodes[from]?.layer ?? 0;
  return formatPlan({
    modes: parts.map(({ mode }) => mode),
    cuts: parts.slice(1).map(layerOf),
    links: parts.filter(({ linked }) => linked).map(layerOf),
  });
}

function segmentsOf(graph: Graph, { modes, cuts, links = [] }: PlanNotation): readonly Segment[] {
  const linked: Segment[] = [];
  for (const [at, range] of rangesOf(graph, cuts).entries()) {
    const [next, ...others] = planRange(graph, range, modes[at] ?? { kind: 'whole' });
    const last = linked.at(-1);
    const isAsked = links.includes(cuts[at - 1] ?? -1);
    const joined =
      isAsked && last?.kind === 'stream' && next?.kind === 'stream'
        ? linkStreams(graph, last, next)
        : undefined;
    if (joined !== undefined) linked[linked.length - 1] = joined;
    else if (next !== undefined) linked.push(next);
    linked.push(...others);
  }
  return mergeWholes(
    linked,
    cuts.map((cut) => positionOf(graph, cut)),
  );
}

/** Neighbouring whole segments that nobody cut apart are one: fewer sessions, fewer copies. */
function mergeWholes(segments: readonly Segment[], asked: readonly number[]): readonly Segment[] {
  const merged: Segment[] = [];
  for (const segment of segments) {
    const last = merged.at(-1);
    if (last?.kind === 'whole' && segment.kind === 'whole' && !asked.includes(segment.from)) {
      merged[merged.length - 1] = { ...last, to: segment.to };
    } else merged.push(segment);
  }
  return merged;
}

function rangesOf(graph: Graph, cuts: readonly number[]): readonly NodeRange[] {
  const positions = [0, ...cuts.map((cut) => positionOf(graph, cut)), graph.nodes.length];
  const ranges = positions.slice(1).map((to, at) => ({ from: positions[at] ?? 0, to }));
  const empty = ranges.findIndex(({ from, to }) => from === to);
  if (empty >= 0) {
    throw new RangeError(
      `Cannot cut at ${cuts[empty - 1]} and ${cuts[empty]}: no operator lies between these layers`,
    );
  }
  return ranges;
}

/** Position of the first node of a layer, or of the next layer that has nodes. */
function positionOf(graph: Graph, cut: number): number {
  const position = graph.nodes.findIndex(({ layer }) => layer >= cut);
  if (position <= 0) {
    const [first = 0, last = 0] = [graph.nodes[0]?.layer, graph.nodes.at(-1)?.layer];
    throw new RangeError(`Cannot cut at layer ${cut}: expected ${first + 1} to ${last}, the last layer`);
  }
  return position;
}
