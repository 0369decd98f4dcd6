/**
 * The predictor of working memory.
 *
 * While a segment runs, these are alive: the sessions of all segments; the maps that cross its cuts; its
 * full output maps if it is tiled or streamed; the buffers of one step's inputs, of a stream also the rows it
 * carries and those between its links; what ONNX Runtime holds during the run;
 * at its end, the outputs twice, once ONNX Runtime's and once JavaScript's copy. Weights are counted apart:
 * they stay mapped, at the blocked levels by way of models saved in that order (agent/engine/model-optimizer.ts);
 * where that can't be done they are copied, and counted here.
 */

import type { Graph, NodeRange } from '../graph/index.js';
import { BYTES_PER_ELEMENT, boundaryOf, tensorAt, tensorBytes, tensorsRead } from '../graph/index.js';
import type { Segment } from '../tile/index.js';
import { wholeShapes } from '../tile/index.js';
import { isBitExact } from './bit-exact.js';
import { BUILT_IN_PROFILE } from './built-in-profile.js';
import type { DeviceProfile } from './device-profile.js';
import { costsFor, latencyOf } from './device-profile.js';
import { countWork } from './latency.js';
import type { RunPeak } from './lifetimes.js';
import { predictStepPeaks } from './lifetimes.js';
import { countRangeMacs } from './macs.js';
import type { Malloc, RunSettings } from './run-settings.js';
import { isBlocked } from './run-settings.js';
import type { SessionRun } from './session-run.js';
import { sessionsOf } from './session-run.js';

export interface PredictSettings extends Omit<RunSettings, 'malloc'> {
  /** `trimmed` if absent. */
  readonly malloc?: Malloc;
  /** Weights are copied to the heap; if absent: at the blocked levels, unless it is known that they can be mapped. */
  readonly copiesWeights?: boolean;
  /** Costs of this device; those we know of another if absent. */
  readonly profile?: DeviceProfile;
}

export interface SegmentPrediction {
  readonly latencyMs: number;
  /** Peak of private memory above idle while the segment runs, other segments' share included. */
  readonly workingBytes: number;
  /** Weights the segment reads. */
  readonly weightsBytes: number;
  /** Multiply-accumulates as run, recomputed halos included. */
  readonly macs: number;
  /** `macs` over those of the untiled segment; 1 where it has none. */
  readonly macOverhead: number;
  /** The segment's outputs equal the untiled run's bit for bit; else within 1e-5 of the largest. */
  readonly bitExact: boolean;
}

/** One session: graph, kernels and allocator bookkeeping. Measured with bench/predictor, ONNX Runtime 1.30. */
const SESSION_BYTES = 0.3 * 2 ** 20;
const NODE_BYTES = 12 * 2 ** 10;

/**
 * What the executor takes beyond its idle state for any plan: garbage, and images at the network's size while they are
 * decoded and in messages. bench/predictor.
 */
const RUN_BYTES = 2 * 2 ** 20;
const IMAGES = 3;

/** Predictions for all segments of a plan, in order. */
export function predictSegments(
  graph: Graph,
  segments: readonly Segment[],
  settings: PredictSettings,
): readonly SegmentPrediction[] {
  const sessions = segments.reduce(
    (sum, segment) => sum + (segment.kind === 'stream' ? segment.links.length : 1),
    0,
  );
  const fixed = fixedBytes(graph, settings) + sessions * sessionShare();
  return segments.map((segment) => predictSegment(graph, segment, { ...settings, fixed }));
}

function predictSegment(
  graph: Graph,
  segment: Segment,
  settings: PredictSettings & { readonly fixed: number },
): SegmentPrediction {
  const sessions = sessionsOf(graph, segment);
  const wholeMacs = countRangeMacs(graph, segment, [wholeShapes(graph)]);
  const isTiled = segment.kind === 'tiles' || segment.kind === 'streamed-tiles';
  // A stream of the full map computes nothing twice.
  const macs = isTiled ? countTileMacs(graph, segment, sessions) : wholeMacs;
  const cost = costsFor(settings.profile ?? BUILT_IN_PROFILE, settings);
  const peaks = sessions.map((session) => predictStepPeaks(graph, session, settings));
  const works = sessions.map((session, at) => countWork(graph, session, peaks[at] ?? []));
  return {
    latencyMs: works.reduce((sum, work) => sum + latencyOf(work, cost), 0),
    workingBytes: Math.round(
      settings.fixed +
        mapBytes(graph, segment) +
        runBytes(graph, segment, { sessions, peaks, ratio: stepRatio(segment.kind, settings) }),
    ),
    weightsBytes: weightsBytes(graph, segment),
    macs,
    macOverhead: wholeMacs === 0 ? 1 : macs / wholeMacs,
    bitExact: isExact(graph, segment.kind, { sessions, settings }),
  };
}

function countTileMacs(graph: Graph, range: NodeRange, sessions: readonly SessionRun[]): number {
  const kinds = sessions.flatMap(({ steps }) => steps);
  return kinds.reduce((sum, { shapeOf, count }) => sum + count * countRangeMacs(graph, range, [shapeOf]), 0);
}

interface Running {
  readonly sessions: readonly SessionRun[];
  readonly settings: PredictSettings;
}

interface Stepping {
  readonly sessions: readonly SessionRun[];
  /** By session, of its kinds of steps. */
  readonly peaks: readonly (readonly RunPeak[])[];
  readonly ratio: number;
}

/** Buffers, and the largest step. Those of a stream stand beside each other, since its links run by turns. */
function runBytes(graph: Graph, segment: Segment, { sessions, peaks, ratio }: Stepping): number {
  const largest = ratio * Math.max(...peaks.map(stepBytes));
  const held = sessions.map((session) => heldBytes(graph, segment.kind, session));
  return ringBytes(graph, segment) + held.reduce((sum, bytes) => sum + bytes, 0) + largest;
}

function isExact(graph: Graph, kind: Segment['kind'], { sessions, settings }: Running): boolean {
  const { threads } = settings;
  const blocked = isBlocked(settings.level);
  return sessions.every(({ range, ...session }) => {
    const steps = kind === 'whole' ? 'whole' : session.steps.map(({ shapeOf }) => shapeOf);
    return isBitExact(graph, range, { steps, threads, blocked });
  });
}

/** What stands for any plan: the executor's own share, kernels, and weights where they are copied. */
export function fixedBytes(
  graph: Graph,
  { level, copiesWeights = isBlocked(level) }: PredictSettings,
): number {
  const copied = copiesWeights ? weightsBytes(graph, { from: 0, to: graph.nodes.length }) : 0;
  const images = graph.inputs
    .filter((index) => tensorAt(graph, index).constant === null)
    .reduce((sum, index) => sum + imageBytes(graph, index), 0);
  return RUN_BYTES + IMAGES * images + graph.nodes.length * NODE_BYTES + copied;
}

/**
 * What a step takes over what lives in it. Where memory is retained the rest lies idle between blocks: tiles are of
 * several sizes, a whole map's blocks are large. Trimmed, one block serves all steps of a session, and values aren't
 * packed in it without gaps. bench/predictor.
 */
const STEP_RATIOS: Readonly<Record<Malloc, Readonly<Record<Segment['kind'], number>>>> = {
  trimmed: { whole: 1, tiles: 1.15, stream: 1, 'streamed-tiles': 1 },
  retained: { whole: 2.7, tiles: 4.2, stream: 2.5, 'streamed-tiles': 2.5 },
};

/** As above, in total. */
export function stepRatio(
  kind: Segment['kind'],
  { malloc = 'trimmed' }: Pick<PredictSettings, 'malloc'>,
): number {
  return STEP_RATIOS[malloc][kind];
}

/** Bytes of each session, its kernels apart. */
export function sessionShare(): number {
  return SESSION_BYTES;
}

/** Constants that a range of nodes reads. */
export function weightsBytes(graph: Graph, { from, to }: NodeRange): number {
  const read = new Set(graph.nodes.slice(from, to).flatMap(tensorsRead));
  return [...read]
    .map((index) => tensorAt(graph, index))
    .filter(({ constant }) => constant?.kind === 'external')
    .reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
}

/** Full maps that live while a segment runs: those made before and needed now or later, and, if it is tiled, its outputs. */
function mapBytes(graph: Graph, segment: Segment): number {
  const before = boundaryOf(graph, { from: 0, to: segment.from });
  const image = graph.inputs.filter((index) => tensorAt(graph, index).constant === null);
  const outputs = segment.kind !== 'whole' ? boundaryOf(graph, segment).outputs : [];
  const maps = [...before.outputs, ...outputs].reduce(
    (sum, index) => sum + tensorBytes(tensorAt(graph, index)),
    0,
  );
  return maps + image.reduce((sum, index) => sum + imageBytes(graph, index), 0);
}

/** Images are kept as decoded: one byte an element. */
function imageBytes(graph: Graph, index: number): number {
  return tensorBytes(tensorAt(graph, index)) / BYTES_PER_ELEMENT[tensorAt(graph, index).dtype];
}

/** The largest step of a session: its run's peak, or its outputs, which are copied at its end. */
export function stepBytes(peaks: readonly RunPeak[]): number {
  return Math.max(...peaks.map(({ peakBytes, outputBytes }) => Math.max(peakBytes, 2 * outputBytes)));
}

/** What stands as long as a session's segment runs. */
export function heldBytes(graph: Graph, kind: Segment['kind'], session: SessionRun): number {
  switch (kind) {
    case 'whole':
      return imageBytesOf(graph, session);
    case 'tiles':
      return largestOf(session, session.inputs);
    case 'stream':
    case 'streamed-tiles':
      // Copies of a step's outputs wait for the collector while the next link runs.
      return largestOf(session, [...session.inputs, ...session.carried, ...session.outputs]);
  }
}

/** An image is converted to floats where a segment reads it whole; other maps are read where they are. */
function imageBytesOf(graph: Graph, { inputs, steps, bytesOf }: SessionRun): number {
  const [{ shapeOf } = { shapeOf: wholeShapes(graph) }] = steps;
  return inputs
    .filter((index) => graph.inputs.includes(index))
    .reduce((sum, index) => sum + bytesOf(index, shapeOf), 0);
}

/** Buffers of values, each as large as the largest step asks. */
function largestOf({ steps, bytesOf }: SessionRun, values: readonly number[]): number {
  return values.reduce(
    (sum, value) => sum + Math.max(...steps.map(({ shapeOf }) => bytesOf(value, shapeOf))),
    0,
  );
}

/** Rows that wait between links. */
function ringBytes(graph: Graph, segment: Segment): number {
  if (segment.kind !== 'stream') return 0;
  return [...segment.order.rings].reduce((sum, [tensor, rows]) => {
    const { shape } = tensorAt(graph, tensor);
    return sum + (tensorBytes(tensorAt(graph, tensor)) / (shape?.[2] ?? 1)) * rows;
  }, 0);
}
