/**
 * The predictor of working memory.
 *
 * While a segment runs, these are alive: the sessions of all segments; the maps that cross its cuts; its
 * full output maps if it is tiled or streamed; the buffers of one step's inputs, of a stream also the rows it
 * carries and those between its links; what ONNX Runtime holds during the run;
 * at its end, the outputs twice, once ONNX Runtime's and once JavaScript's copy. Weights are counted apart:
 * they stay mapped below level `layout`, and are copied to the heap from there on.
 */
import type { Graph } from '../graph/graph.js';
import { BYTES_PER_ELEMENT, elementCount, tensorAt, tensorBytes, tensorsRead } from '../graph/graph.js';
import type { NodeRange } from '../graph/segment-graph.js';
import { boundaryOf } from '../graph/segment-graph.js';
import type { Segment } from '../tile/segment.js';
import type { ShapeOf } from '../tile/shape-of.js';
import type { SessionRun } from '../tile/tile-shape.js';
import { sessionsOf, wholeShapes } from '../tile/tile-shape.js';
import { isBitExact } from './bit-exact.js';
import { predictRunPeak } from './lifetimes.js';
import { countRangeMacs } from './macs.js';
import type { RunStep } from './run-step.js';

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
  const sessions = sessionsOf(graph, segment);
  const wholeMacs = countRangeMacs(graph, segment, [wholeShapes(graph)]);
  // A stream computes nothing twice.
  const macs =
    segment.kind === 'tiles' ? countRangeMacs(graph, segment, sessions[0]?.shapes ?? []) : wholeMacs;
  return {
    workingBytes: Math.round(
      settings.fixed + mapBytes(graph, segment) + runBytes(segment, { sessions, settings }),
    ),
    weightsBytes: weightsBytes(graph, segment),
    macs,
    macOverhead: wholeMacs === 0 ? 1 : macs / wholeMacs,
    bitExact: isExact(graph, segment, { sessions, settings }),
  };
}

interface Running {
  readonly sessions: readonly SessionRun[];
  readonly settings: PredictSettings;
}

/** Buffers, and the largest step. Those of a stream stand beside each other, since its links run by turns. */
function runBytes(segment: Segment, { sessions, settings }: Running): number {
  if (segment.kind !== 'stream') {
    const steps = sessions.flatMap((session) =>
      session.shapes.map(
        (shapeOf) => inputBytes(session, { segment, shapeOf }) + stepBytes(session, { ...settings, shapeOf }),
      ),
    );
    return Math.max(...steps);
  }
  const buffers = sessions.reduce((sum, session) => sum + bufferBytes(session) + carryBytes(session), 0);
  const steps = sessions.flatMap((session) =>
    session.shapes.map((shapeOf) => stepBytes(session, { ...settings, shapeOf })),
  );
  return ringBytes(sessions[0]?.graph, segment) + buffers + Math.max(...steps);
}

function isExact(graph: Graph, segment: Segment, { sessions, settings }: Running): boolean {
  const { threads } = settings;
  const blocked = isBlocked(settings.level);
  const ranges = segment.kind === 'stream' ? segment.links : [segment];
  return ranges.every((range, at) => {
    const steps = segment.kind === 'whole' ? 'whole' : (sessions[at]?.shapes ?? []);
    return isBitExact(graph, range, { steps, threads, blocked });
  });
}

function sessionBytes(graph: Graph, segment: Segment, { level }: PredictSettings): number {
  const nodes = segment.to - segment.from;
  const sessions = segment.kind === 'stream' ? segment.links.length : 1;
  const copied = isBlocked(level) ? weightsBytes(graph, segment) : 0;
  return sessions * SESSION_BYTES + nodes * NODE_BYTES + copied;
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

/** Bytes of one run: the larger of its peak and its outputs, which are copied at its end. */
function stepBytes({ graph, range }: SessionRun, step: RunStep): number {
  const run = predictRunPeak(graph, range, step);
  return Math.max(run.peakBytes, 2 * run.outputBytes);
}

/** What is copied out of the maps for one step. */
function inputBytes(
  { graph, range }: SessionRun,
  { segment, shapeOf }: { readonly segment: Segment; readonly shapeOf: ShapeOf },
): number {
  const { inputs } = boundaryOf(graph, range);
  return inputs
    .filter((index) => segment.kind === 'tiles' || graph.inputs.includes(index))
    .reduce((sum, index) => sum + shapedBytes(graph, index, shapeOf), 0);
}

/** New rows of a stream, as long as its longest step asks. */
function bufferBytes({ graph, shapes, ports }: SessionRun): number {
  const carried = new Set(ports.flatMap(({ carry, tail, take }) => [carry, tail, take]));
  return graph.inputs
    .filter((index) => !carried.has(index))
    .reduce(
      (sum, index) => sum + Math.max(...shapes.map((shapeOf) => shapedBytes(graph, index, shapeOf))),
      0,
    );
}

/** Rows that a stream keeps between steps, and its padding. */
function carryBytes({ graph, shapes, ports }: SessionRun): number {
  return ports.reduce((sum, { carry, tail }) => {
    const held = [carry, tail].filter((index) => index !== undefined);
    return (
      sum +
      held.reduce(
        (bytes, index) => bytes + Math.max(...shapes.map((shapeOf) => shapedBytes(graph, index, shapeOf))),
        0,
      )
    );
  }, 0);
}

/** Rows that wait between links. */
function ringBytes(graph: Graph | undefined, segment: Segment): number {
  if (segment.kind !== 'stream' || graph === undefined) return 0;
  return [...segment.order.rings].reduce((sum, [tensor, rows]) => {
    const { shape } = tensorAt(graph, tensor);
    return sum + (tensorBytes(tensorAt(graph, tensor)) / (shape?.[2] ?? 1)) * rows;
  }, 0);
}

function shapedBytes(graph: Graph, index: number, shapeOf: ShapeOf): number {
  return elementCount(shapeOf(index)) * BYTES_PER_ELEMENT[tensorAt(graph, index).dtype];
}
