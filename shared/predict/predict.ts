/**
 * This file predicts the working memory, the latency and the exactness of each segment of a plan.
 *
 * While a segment runs, these are alive:
 *
 * 1. the sessions of all segments
 * 2. the maps that cross its cuts, and its full output maps if it is tiled or streamed
 * 3. the buffers of one step's inputs, and for a stream the rows that it carries and that wait between its links
 * 4. ONNX Runtime's tensors and scratch during the run
 * 5. at its end, the outputs twice: ONNX Runtime's, and JavaScript's copy
 *
 * Weights are counted apart, since they stay mapped. At the blocked levels they are mapped from models saved in that
 * order. Where that can't be done they are copied, and count as working memory.
 *
 * Not guaranteed: that a run takes no more. docs/benchmarks.md, "The predictor", lists the plans that did.
 */

import type { Graph, NodeRange } from '../graph/index.js';
import {
  BYTES_PER_ELEMENT,
  boundaryOf,
  elementAt,
  tensorAt,
  tensorBytes,
  tensorsRead,
} from '../graph/index.js';
import type { Segment } from '../tile/index.js';
import { sizeAlong, wholeShapes } from '../tile/index.js';
import { isBitExact } from './bit-exact.js';
import { BUILT_IN_PROFILE } from './built-in-profile.js';
import type { DeviceProfile } from './device-profile.js';
import { costsFor, latencyOf } from './device-profile.js';
import { countWork } from './latency.js';
import type { RunPeak } from './lifetimes.js';
import { predictStepPeaks } from './lifetimes.js';
import { countRangeMacs } from './macs.js';
import type { Allocator, RunSettings } from './run-settings.js';
import { isBlocked } from './run-settings.js';
import type { SessionRun } from './session-run.js';
import { sessionsOf } from './session-run.js';

/** The settings of a plan, and facts of the device that runs it. */
export interface PredictSettings extends Omit<RunSettings, 'allocator'> {
  /** Allocator of the executor. It is `glibc` if absent. */
  readonly allocator?: Allocator;
  /** Whether weights are copied to the heap. If absent, they are at the blocked levels. */
  readonly copiesWeights?: boolean;
  /** Costs of this device. The built-in costs of another device count if it is absent. */
  readonly profile?: DeviceProfile;
}

/** The needs of one segment, and what its outputs are worth. */
export interface SegmentPrediction {
  readonly latencyMs: number;
  /** Peak of private memory above idle while the segment runs, other segments' share included. */
  readonly workingBytes: number;
  /** Bytes of the weights that the segment reads. */
  readonly weightsBytes: number;
  /** Multiply-accumulates as run, recomputed halos included. */
  readonly macs: number;
  /** Ratio of `macs` to those of the untiled segment. It is 1 where that has none. */
  readonly macOverhead: number;
  /** Whether the segment's outputs equal the untiled run's bit for bit. Else they are within 1e-5 of the largest. */
  readonly bitExact: boolean;
}

/** Bytes of a session's graph and allocator bookkeeping. Measured with bench/predictor, ONNX Runtime 1.30. */
const SESSION_BYTES = 0.3 * 2 ** 20;

/** Bytes of a node's kernel. Measured with bench/predictor, ONNX Runtime 1.30. */
const NODE_BYTES = 12 * 2 ** 10;

/** Bytes of garbage that the executor has beyond its idle state, for any plan. Measured with bench/predictor. */
const RUN_BYTES = 2 * 2 ** 20;

/** Copies of an image at the network's size, while it is decoded and in messages. Measured with bench/predictor. */
const IMAGES = 3;

/** Predicts all segments of a plan, in order. */
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
  const works = sessions.map((session, at) => countWork(graph, session, elementAt(peaks, at)));
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
  /** Peaks of each session's kinds of steps. */
  readonly peaks: readonly (readonly RunPeak[])[];
  /** Factor from live bytes to allocated bytes. */
  readonly ratio: number;
}

/** Returns the bytes of all buffers and of the largest step. Links run by turns, so the buffers of all of them count. */
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

/** Returns the bytes that any plan takes: the executor's own share, kernels, and weights where they are copied. */
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
 * Factors from the live bytes of a step to its allocated bytes, measured with bench/predictor. With
 * glibc all steps of a session have one block, in which the values of tiles aren't packed without gaps. With jemalloc
 * freed blocks stay for a while.
 */
const STEP_RATIOS: Readonly<Record<Allocator, Readonly<Record<Segment['kind'], number>>>> = {
  glibc: { whole: 1, tiles: 1.15, stream: 1, 'streamed-tiles': 1 },
  jemalloc: { whole: 1.4, tiles: 1.8, stream: 1.2, 'streamed-tiles': 1.2 },
};

/** Returns the factor from live bytes to allocated bytes of a step, by mode and allocator. */
export function stepRatio(
  kind: Segment['kind'],
  { allocator = 'glibc' }: Pick<PredictSettings, 'allocator'>,
): number {
  return STEP_RATIOS[allocator][kind];
}

/** Returns the bytes of each session, without its kernels. */
export function sessionShare(): number {
  return SESSION_BYTES;
}

/** Returns the bytes of the mapped constants that a range of nodes reads. */
export function weightsBytes(graph: Graph, { from, to }: NodeRange): number {
  const read = new Set(graph.nodes.slice(from, to).flatMap(tensorsRead));
  return [...read]
    .map((index) => tensorAt(graph, index))
    .filter(({ constant }) => constant?.kind === 'external')
    .reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
}

/**
 * Returns the bytes of the full maps that live while a segment runs. These are the image, all maps that were made
 * before and are needed now or later, and, unless the segment runs whole, its outputs.
 */
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

/** Returns the bytes of an image, which is kept as decoded: one byte an element. */
function imageBytes(graph: Graph, index: number): number {
  return tensorBytes(tensorAt(graph, index)) / BYTES_PER_ELEMENT[tensorAt(graph, index).dtype];
}

/** Returns the bytes of the largest step of a session: its run's peak, or its outputs and their copies at its end. */
export function stepBytes(peaks: readonly RunPeak[]): number {
  return Math.max(...peaks.map(({ peakBytes, outputBytes }) => Math.max(peakBytes, 2 * outputBytes)));
}

/** Returns the bytes of the buffers that stand as long as a session's segment runs. */
export function heldBytes(graph: Graph, kind: Segment['kind'], session: SessionRun): number {
  switch (kind) {
    case 'whole':
      return imageBytesOf(graph, session);
    case 'tiles':
      return largestOf(session, session.inputs);
    case 'stream':
    case 'streamed-tiles':
      // A step's outputs are released once they are copied to their place, so they count here as a margin.
      return largestOf(session, [...session.inputs, ...session.carried, ...session.outputs]);
  }
}

/** Returns the bytes of images as floats. A whole segment converts them, and reads other maps where they are. */
function imageBytesOf(graph: Graph, { inputs, steps, bytesOf }: SessionRun): number {
  const { shapeOf } = elementAt(steps, 0);
  return inputs
    .filter((index) => graph.inputs.includes(index))
    .reduce((sum, index) => sum + bytesOf(index, shapeOf), 0);
}

/** Returns the bytes of the buffers of some values, each as large as the largest step asks. */
function largestOf({ steps, bytesOf }: SessionRun, values: readonly number[]): number {
  return values.reduce(
    (sum, value) => sum + Math.max(...steps.map(({ shapeOf }) => bytesOf(value, shapeOf))),
    0,
  );
}

/** Returns the bytes of the rows that wait between links. */
function ringBytes(graph: Graph, segment: Segment): number {
  if (segment.kind !== 'stream') return 0;
  return [...segment.order.rings].reduce((sum, [tensor, rows]) => {
    const rowBytes = tensorBytes(tensorAt(graph, tensor)) / sizeAlong(graph, tensor, 'rows');
    return sum + rowBytes * rows;
  }, 0);
}
