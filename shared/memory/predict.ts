/**
 * The predictor of working memory.
 *
 * While a segment runs, these are alive: the sessions of all segments; the maps that cross its cuts; its
 * full output maps if it is tiled; the buffers of one step's inputs; what ONNX Runtime holds during the run;
 * at its end, the outputs twice, once ONNX Runtime's and once JavaScript's copy. Weights are counted apart:
 * they stay mapped below level `layout`, and are copied to the heap from there on.
 */
import type { DataType, Graph } from '../graph/graph.js';
import { BYTES_PER_ELEMENT, elementCount, tensorAt, tensorBytes, tensorsRead } from '../graph/graph.js';
import type { NodeRange } from '../graph/segment-graph.js';
import { boundaryOf } from '../graph/segment-graph.js';
import type { Segment } from '../tile/segment.js';
import type { ShapeOf } from '../tile/tile-shape.js';
import { stepShapes, wholeShapes } from '../tile/tile-shape.js';
import { isBitExact } from './bit-exact.js';
import { predictRunPeak } from './lifetimes.js';
import { countRangeMacs } from './macs.js';

/** ONNX Runtime's graph optimisation levels, least first. */
export const LEVELS = ['disabled', 'basic', 'extended', 'layout', 'all'] as const;
export type Level = (typeof LEVELS)[number];

/** Levels at which convolutions run in blocked layout (NCHWc) and their weights are copied. */
export function isBlocked(level: Level): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf('layout');
}

export interface PredictSettings {
  /** Threads of one operator. */
  readonly threads: number;
  readonly level: Level;
}

export interface SegmentPrediction {
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

/** What the executor takes beyond its idle state for any plan: decoding, messages, garbage. bench/predictor. */
const RUN_BYTES = 5 * 2 ** 20;

/** Predictions for all segments of a plan, in order. */
export function predictSegments(
  graph: Graph,
  segments: readonly Segment[],
  settings: PredictSettings,
): readonly SegmentPrediction[] {
  const fixed =
    RUN_BYTES + segments.reduce((sum, segment) => sum + sessionBytes(graph, segment, settings), 0);
  return segments.map((segment) => predictSegment(graph, segment, { ...settings, fixed }));
}

function predictSegment(
  graph: Graph,
  segment: Segment,
  settings: PredictSettings & { readonly fixed: number },
): SegmentPrediction {
  const steps = stepShapes(graph, segment);
  const macs = countRangeMacs(graph, segment, steps);
  const wholeMacs = countRangeMacs(graph, segment, [wholeShapes(graph)]);
  const stepBytes = Math.max(
    ...steps.map((shapeOf) => predictStep(graph, segment, { ...settings, shapeOf })),
  );
  return {
    workingBytes: Math.round(settings.fixed + mapBytes(graph, segment) + stepBytes),
    weightsBytes: weightsBytes(graph, segment),
    macs,
    macOverhead: wholeMacs === 0 ? 1 : macs / wholeMacs,
    bitExact: isBitExact(graph, segment, {
      steps,
      threads: settings.threads,
      blocked: isBlocked(settings.level),
    }),
  };
}

function sessionBytes(graph: Graph, segment: Segment, { level }: PredictSettings): number {
  const nodes = segment.to - segment.from;
  const copied = isBlocked(level) ? weightsBytes(graph, segment) : 0;
  return SESSION_BYTES + nodes * NODE_BYTES + copied;
}

/** Constants that a range of nodes reads. */
function weightsBytes(graph: Graph, { from, to }: NodeRange): number {
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
  const outputs = segment.kind === 'tiles' ? boundaryOf(graph, segment).outputs : [];
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

interface PredictStep extends PredictSettings {
  readonly shapeOf: ShapeOf;
}

/** Bytes of one step: buffers of its inputs, and the larger of the run's peak and its outputs copied. */
function predictStep(graph: Graph, segment: Segment, { shapeOf, threads }: PredictStep): number {
  const run = predictRunPeak(graph, segment, { shapeOf, threads });
  const { inputs } = boundaryOf(graph, segment);
  const copied = inputs.filter((index) => segment.kind === 'tiles' || graph.inputs.includes(index));
  const inputBytes = copied.reduce((sum, index) => {
    const dtype: DataType = tensorAt(graph, index).dtype;
    return sum + elementCount(shapeOf(index)) * BYTES_PER_ELEMENT[dtype];
  }, 0);
  return inputBytes + Math.max(run.peakBytes, 2 * run.outputBytes);
}
