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

import type { Graph } from '../graph/index.js';
import { tensorAt, tensorBytes } from '../graph/index.js';
import type { Segment } from '../tile/index.js';
import { sizeAlong, wholeShapes } from '../tile/index.js';
import type { SessionNeed } from './account.js';
import { interpolatesOtherwise } from './blocked-interpolation.js';
import { BUILT_IN_PROFILE } from './built-in-profile.js';
import type { DeviceProfile, WorkAmounts } from './device-profile.js';
import { costsFor, emptyWork, WORK_KINDS } from './device-profile.js';
import { countRangeMacs } from './macs.js';
import type { RangeMaps } from './range-maps.js';
import { rangeMapsOf } from './range-maps.js';
import { feedsQuantizer, judgeSession } from './rounding-law.js';
import type { Allocator, RunSettings } from './run-settings.js';
import { isBlocked } from './run-settings.js';
import { predictorOf, sessionsOf } from './sessions.js';

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
  /** Whether its outputs keep the law of exactness. Where they feed a quantiser that takes equal bits. */
  readonly lawful: boolean;
}

/** Bytes of a session's graph and allocator bookkeeping. Measured with bench/predictor, ONNX Runtime 1.30. */
export const SESSION_BYTES = 0.5 * 2 ** 20;

/** Bytes of a node's kernel. Measured with bench/predictor, ONNX Runtime 1.30. */
const NODE_BYTES = 20 * 2 ** 10;

/**
 * Bytes that the executor has beyond its idle state, for any plan: compiled code, and garbage.
 * Measured with bench/predictor.
 */
const RUN_BYTES = 2.5 * 2 ** 20;

/** Copies of an image at the network's size, while it is decoded and in messages. Measured with bench/predictor. */
const IMAGES = 1;

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
  const fixed = fixedBytes(graph, settings) + sessions * SESSION_BYTES;
  return segments.map((segment) => predictSegment(graph, segment, { ...settings, fixed }));
}

function predictSegment(
  graph: Graph,
  segment: Segment,
  settings: PredictSettings & { readonly fixed: number },
): SegmentPrediction {
  const maps = rangeMapsOf(graph);
  const { needs, bitExact } = accountSegment(graph, segment, settings);
  const sum = (part: (need: SessionNeed) => number) => needs.reduce((total, need) => total + part(need), 0);
  const wholeMacs = countRangeMacs(graph, segment, [wholeShapes(graph)]);
  const isTiled = segment.kind === 'tiles' || segment.kind === 'streamed-tiles';
  // A stream of the full map computes nothing twice.
  const macs = isTiled ? sum((need) => need.macs) : wholeMacs;
  const steps = needs.map((need) => allocatedBytes(segment.kind, need, settings));
  // Links run by turns, so the buffers of all of them count.
  const runBytes = ringBytes(graph, segment) + sum((need) => need.heldBytes) + Math.max(...steps);
  return {
    latencyMs: sum((need) => need.latencyMs),
    workingBytes: Math.round(settings.fixed + mapBytes(maps, segment) + runBytes),
    weightsBytes: maps.weights(segment.from, segment.to),
    macs,
    macOverhead: wholeMacs === 0 ? 1 : macs / wholeMacs,
    bitExact,
    lawful:
      (bitExact || !feedsQuantizer(graph, segment)) &&
      !interpolatesOtherwise(graph, segment, { mode: segment.kind, level: settings.level }),
  };
}

/** Accounts for all sessions of a segment. */
function accountSegment(
  graph: Graph,
  segment: Segment,
  settings: PredictSettings,
): { readonly needs: readonly SessionNeed[]; readonly bitExact: boolean } {
  const cost = costsFor(settings.profile ?? BUILT_IN_PROFILE, settings);
  const predictor = predictorOf(graph, settings, cost);
  const needs: SessionNeed[] = [];
  let bitExact = true;
  for (const session of sessionsOf(graph, segment, predictor)) {
    const judged = judgeSession(graph, session, { ...settings, mode: segment.kind });
    needs.push(predictor.account.of(judged.session));
    bitExact &&= judged.isBitExact();
  }
  return { needs, bitExact };
}

/** Counts the work of a segment, from which a profile makes its latency. With jemalloc there are no faults. */
export function countSegmentWork(
  graph: Graph,
  segment: Segment,
  { level, threads, allocator }: Omit<RunSettings, 'allocator'> & Partial<RunSettings>,
): WorkAmounts {
  const work = emptyWork();
  for (const kind of WORK_KINDS) {
    if (allocator === 'jemalloc' && (kind === 'faultedBytes' || kind === 'hugeBytes')) continue;
    // A nanosecond a unit of this kind alone makes the latency its amount.
    const predictor = predictorOf(graph, { level, threads }, { ...emptyWork(), [kind]: 1 });
    for (const session of sessionsOf(graph, segment, predictor))
      work[kind] += Math.round(predictor.account.of(session).latencyMs * 1e6);
  }
  return work;
}

/** Returns the bytes that any plan takes: the executor's own share, kernels, and weights where they are copied. */
export function fixedBytes(
  graph: Graph,
  { level, copiesWeights = isBlocked(level) }: PredictSettings,
): number {
  const maps = rangeMapsOf(graph);
  const copied = copiesWeights ? maps.weights(0, graph.nodes.length) : 0;
  return RUN_BYTES + IMAGES * maps.imageBytes + graph.nodes.length * NODE_BYTES + copied;
}

/**
 * Factors from the live bytes of steps to their allocated bytes, measured with bench/predictor. With
 * glibc all steps of a session have one block, in which the values of tiles aren't packed without gaps. With jemalloc
 * freed blocks stay for a while; those of tiles of one shape fit the next one, those of several shapes add up. A stream
 * has a larger first and last step, and the blocks of the steps between add up with a part of theirs.
 */
const STEP_RATIOS: Readonly<Record<Allocator, Readonly<Record<StepRatio, number>>>> = {
  glibc: { whole: 1, tiles: 1.15, mixedTiles: 1.15, largest: 1, repeated: 0.2 },
  jemalloc: { whole: 1.5, tiles: 1.6, mixedTiles: 2.1, largest: 0.8, repeated: 0.7 },
};

type StepRatio = 'whole' | 'tiles' | 'mixedTiles' | 'largest' | 'repeated';

/** Returns the bytes that the allocator takes for the largest step of a session, by mode and allocator. */
export function allocatedBytes(
  kind: Segment['kind'],
  { kinds, stepBytes, repeatedBytes }: Omit<SessionNeed, 'macs'>,
  { allocator = 'glibc' }: Pick<PredictSettings, 'allocator'>,
): number {
  const ratios = STEP_RATIOS[allocator];
  if (kind === 'whole') return ratios.whole * stepBytes;
  if (kind === 'tiles') return (kinds > 1 ? ratios.mixedTiles : ratios.tiles) * stepBytes;
  return Math.max(stepBytes, ratios.largest * stepBytes + ratios.repeated * repeatedBytes);
}

/**
 * Returns the bytes of the full maps that live while a segment runs. These are the image, all maps that were made
 * before and are needed now or later, and, unless the segment runs whole, its outputs.
 */
function mapBytes(maps: RangeMaps, { kind, from, to }: Segment): number {
  return maps.standing(from) + (kind === 'whole' ? 0 : maps.left(from, to));
}

/** Returns the bytes of the rows that wait between links. */
function ringBytes(graph: Graph, segment: Segment): number {
  if (segment.kind !== 'stream') return 0;
  return [...segment.order.rings].reduce((sum, [tensor, rows]) => {
    const rowBytes = tensorBytes(tensorAt(graph, tensor)) / sizeAlong(graph, tensor, 'rows');
    return sum + rowBytes * rows;
  }, 0);
}
