/**
 * A plan is a list of segments in order, each with its geometry and its predicted needs. The same graph, notation and
 * settings always give the same plan.
 */
import type { Graph, NodeRange } from '../graph/index.js';
import { elementAt, varyingFrom } from '../graph/index.js';
import type { PredictSettings, RunSettings, SegmentPrediction, WorkAmounts } from '../predict/index.js';
import { countSegmentWork, emptyWork, predictSegments, WORK_KINDS } from '../predict/index.js';
import type { Segment } from '../tile/index.js';
import { linkStreams, modesOf, planRange } from '../tile/index.js';
import type { PlanNotation } from './notation.js';
import { formatPlan } from './notation.js';

/** A segment of a plan, with its predicted needs. */
export interface PlannedSegment {
  readonly segment: Segment;
  readonly prediction: SegmentPrediction;
}

/** Version of plans and predictions. Raise it when the same graph and budget may give others, since plans are stored. */
export const PLANNER_VERSION = '12';

/** A plan, ready to be compiled. */
export interface Plan {
  /** Notation of the modes that really run. */
  readonly notation: string;
  readonly settings: RunSettings;
  readonly segments: readonly PlannedSegment[];
  readonly predicted: PlanPrediction;
}

/** The needs of a whole plan: those of its largest segments. `peakBytes` is `workingBytes` + `weightsBytes`. */
export interface PlanPrediction {
  readonly workingBytes: number;
  readonly weightsBytes: number;
  readonly peakBytes: number;
  /** Latency by the device's profile, or by the built-in one. */
  readonly latencyMs: number;
}

/** Says whether a budget bounds the weights. Evictable weights come and go with the page cache, and don't count. */
export type WeightsPolicy = 'resident' | 'evictable';

/** Returns the bytes that a budget bounds. */
export function budgetedBytes(predicted: PlanPrediction, weights: WeightsPolicy): number {
  return weights === 'resident' ? predicted.peakBytes : predicted.workingBytes;
}

/** A plan that would break the law of exactness. */
export class InexactPlanError extends RangeError {}

/**
 * Builds the plan of a notation, and predicts it.
 * @throws {RangeError} if a cut is no layer of the graph.
 * @throws {InexactPlanError} if the plan breaks the law of exactness.
 */
export function buildPlan(graph: Graph, notation: PlanNotation, settings: PredictSettings): Plan {
  const plan = layPlan(graph, notation, settings);
  const breach = breachOf(graph, plan);
  if (breach !== undefined) throw breach;
  return plan;
}

/** Says where a plan breaks the law of exactness; undefined if it keeps it. */
export function breachOf(graph: Graph, { segments }: Plan): InexactPlanError | undefined {
  const breach = segments.find(({ prediction }) => !prediction.lawful);
  if (breach === undefined) return undefined;
  const [first, last] = [breach.segment.from, breach.segment.to - 1].map(
    (at) => elementAt(graph.nodes, at).layer,
  );
  return new InexactPlanError(
    `Cannot plan layers ${first} to ${last} so: sums of floats before a quantiser, or a linear Resize, would be rounded ` +
      'otherwise than in the untiled network; expected cuts where maps are of bytes, more rows a step, or level "extended"',
  );
}

/** Whether a plan keeps the law of exactness. */
export function isLawful({ segments }: Plan): boolean {
  return segments.every(({ prediction }) => prediction.lawful);
}

/** Builds a plan as `buildPlan` does, also one that breaks the law. @throws {RangeError} if a cut is no layer. */
export function layPlan(graph: Graph, notation: PlanNotation, settings: PredictSettings): Plan {
  const segments = segmentsOf(graph, notation);
  const predictions = predictSegments(graph, segments, settings);
  const workingBytes = Math.max(...predictions.map((item) => item.workingBytes));
  const weightsBytes = Math.max(...predictions.map((item) => item.weightsBytes));
  return {
    notation: describeSegments(graph, segments),
    settings: { level: settings.level, allocator: settings.allocator ?? 'glibc', threads: settings.threads },
    segments: segments.map((segment, at) => ({ segment, prediction: elementAt(predictions, at) })),
    predicted: {
      workingBytes,
      weightsBytes,
      peakBytes: workingBytes + weightsBytes,
      latencyMs: predictions.reduce((sum, item) => sum + item.latencyMs, 0),
    },
  };
}

/** Counts the work of a plan, from which a profile makes its latency. */
export function countPlanWork(graph: Graph, { segments, settings }: Plan): WorkAmounts {
  const sum = emptyWork();
  for (const { segment } of segments) {
    const work = countSegmentWork(graph, segment, settings);
    for (const kind of WORK_KINDS) sum[kind] += work[kind];
  }
  return sum;
}

/** Prints the modes that really run as a notation. */
export function describeSegments(graph: Graph, segments: readonly Segment[]): string {
  const parts = segments.flatMap(modesOf);
  const layerOf = ({ from }: NodeRange) => elementAt(graph.nodes, from).layer;
  return formatPlan({
    modes: parts.map(({ mode }) => mode),
    cuts: parts.slice(1).map(layerOf),
    links: parts.filter(({ linked }) => linked).map(layerOf),
  });
}

function segmentsOf(graph: Graph, { modes, cuts, links = [] }: PlanNotation): readonly Segment[] {
  const linked: Segment[] = [];
  for (const [at, range] of rangesOf(graph, cuts).entries()) {
    const [next, ...others] = planRange(graph, range, elementAt(modes, at));
    const last = linked.at(-1);
    const isAsked = at > 0 && links.includes(elementAt(cuts, at - 1));
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

/** Merges neighbouring whole segments between which no cut is asked for. That saves sessions and copies. */
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

/** Returns the ranges of nodes between the cuts. */
function rangesOf(graph: Graph, cuts: readonly number[]): readonly NodeRange[] {
  const positions = [0, ...cuts.map((cut) => positionOf(graph, cut)), graph.nodes.length];
  const ranges = positions.slice(1).map((to, at) => ({ from: elementAt(positions, at), to }));
  const empty = ranges.findIndex(({ from, to }) => from === to);
  if (empty >= 0) {
    throw new RangeError(
      `Cannot cut at ${cuts[empty - 1]} and ${cuts[empty]}: no operator lies between these layers`,
    );
  }
  return ranges;
}

/** Returns the position of the first node of a layer, or of the next layer that has nodes. */
function positionOf(graph: Graph, cut: number): number {
  const position = graph.nodes.findIndex(({ layer }) => layer >= cut);
  if (position <= 0) {
    const [first = 0, last = 0] = [graph.nodes[0]?.layer, graph.nodes.at(-1)?.layer];
    throw new RangeError(`Cannot cut at layer ${cut}: expected ${first + 1} to ${last}, the last layer`);
  }
  const last = varyingFrom(graph);
  if (position > last) {
    const { layer } = elementAt(graph.nodes, last);
    throw new RangeError(
      `Cannot cut at layer ${cut}: shapes after layer ${layer} depend on the image, expected at most ${layer}`,
    );
  }
  return position;
}
