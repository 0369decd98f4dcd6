/**
 * Compiles a plan to the program that the executor runs.
 *
 * 1. Number the maps that cross cuts.
 * 2. Write each segment as an ONNX model, whose weights stay in the stored model's data file.
 * 3. Turn tiles into regions to read and to write.
 */

import type { Graph } from '../../../shared/graph/index.js';
import { boundaryOf, extractSegment, knownShape, tensorAt, valueFor } from '../../../shared/graph/index.js';
import { writeOnnx } from '../../../shared/onnx/index.js';
import type { Plan } from '../../../shared/search/index.js';
import type { Segment, TiledSegment, WholeSegment } from '../../../shared/tile/index.js';
import { tilesByShape } from '../../../shared/tile/index.js';
import type { ImageInput, MapSpec, Program, SegmentProgram, SessionProgram, Step } from '../wire/protocol.js';
import { compileStream } from './compile-stream.js';
import { compileStreamedTiles } from './compile-streamed-tiles.js';
import type { NumberedMaps } from './map-binding.js';
import { bindMaps } from './map-binding.js';
import { ownedWrite, readRegion } from './tile-region.js';

export interface CompileOptions {
  /** Folder of the stored model, which holds its weights. */
  readonly folder: string;
  readonly input: ImageInput;
}

/** @throws {RangeError} if a tensor without a fixed shape crosses a cut. */
export function compilePlan(graph: Graph, plan: Plan, options: CompileOptions): Program {
  const segments = plan.segments.map(({ segment }) => segment);
  const crossing = [
    ...new Set([...graph.inputs, ...segments.flatMap((segment) => outputsOf(graph, segment))]),
  ];
  const mapOf = new Map(crossing.map((tensor, at) => [tensor, at]));
  const parted = new Set(segments.flatMap((segment) => partedOutputs(graph, segment)));
  const rings = new Map(
    segments.flatMap((segment) => [...(segment.kind === 'stream' ? segment.order.rings : [])]),
  );
  const compiler: NumberedMaps = { graph, mapOf };
  return {
    ...options,
    isImported: true,
    settings: plan.settings,
    maps: crossing.map((tensor): MapSpec => {
      const { dtype } = tensorAt(graph, tensor);
      const shape = knownShape(tensorAt(graph, tensor));
      return { dtype, shape, preallocated: parted.has(tensor), ringRows: rings.get(tensor) ?? null };
    }),
    segments: segments.map((segment) => compileSegment(compiler, segment)),
    outputs: bindMaps(compiler, graph.outputs),
  };
}

/** Outputs of all sessions of a segment. */
function outputsOf(graph: Graph, segment: Segment): readonly number[] {
  return segment.kind === 'stream'
    ? segment.links.flatMap(({ stream }) => stream.space.boundary.outputs)
    : boundaryOf(graph, segment).outputs;
}

/** Outputs that are written part by part, so that their buffers must stand before the first step. */
function partedOutputs(graph: Graph, segment: Segment): readonly number[] {
  switch (segment.kind) {
    case 'whole':
      return [];
    case 'tiles':
    case 'streamed-tiles':
      return outputsOf(graph, segment).filter((tensor) => segment.space.scales.has(tensor));
    case 'stream':
      return segment.links.flatMap(({ stream: { space } }) =>
        space.boundary.outputs.filter((tensor) => space.scales.has(tensor)),
      );
  }
}

function compileSegment(compiler: NumberedMaps, segment: Segment): SegmentProgram {
  const { graph, mapOf } = compiler;
  const { inputs } = boundaryOf(graph, segment);
  const later = new Set([
    ...boundaryOf(graph, { from: segment.to, to: graph.nodes.length }).inputs,
    ...graph.outputs,
  ]);
  const inner = segment.kind === 'stream' ? outputsOf(graph, segment) : [];
  return {
    ...compileSteps(compiler, segment),
    frees: [...inputs, ...inner]
      .filter((tensor) => !later.has(tensor))
      .map((tensor) => valueFor(mapOf, tensor)),
  };
}

function compileSteps(compiler: NumberedMaps, segment: Segment): Omit<SegmentProgram, 'frees'> {
  switch (segment.kind) {
    case 'stream':
      return compileStream(compiler, segment);
    case 'streamed-tiles':
      return compileStreamedTiles(compiler, segment);
    default:
      return compileSession(compiler, segment);
  }
}

function compileSession(
  { graph, mapOf }: NumberedMaps,
  segment: WholeSegment | TiledSegment,
): Omit<SegmentProgram, 'frees'> {
  const { inputs, outputs } = boundaryOf(graph, segment);
  const session: SessionProgram = {
    model: writeOnnx(extractSegment(graph, segment), { symbolicSpace: true }),
    feeds: bindMaps({ graph, mapOf }, inputs),
    fetches: bindMaps({ graph, mapOf }, outputs),
    carries: [],
  };
  const steps =
    segment.kind === 'whole' ? [wholeStep(inputs, outputs)] : tileSteps(segment, { inputs, outputs });
  return { sessions: [session], steps };
}

function wholeStep(inputs: readonly number[], outputs: readonly number[]): Step {
  const [reads, writes] = [inputs.map(() => null), outputs.map(() => null)];
  return { session: 0, phase: null, carries: 0, reads, writes };
}

interface Bindings {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** Makes the steps of all tiles. Tiles of one shape follow each other, so that blocks of memory are used again. */
function tileSteps(segment: TiledSegment, { inputs, outputs }: Bindings): readonly Step[] {
  const tiles = tilesByShape(segment, segment.space.reference).flatMap((kind) => kind.tiles);
  return tiles.map((tile, at) => ({
    session: 0,
    phase: null,
    carries: 0,
    reads: inputs.map((tensor) => readRegion(tile, tensor)),
    writes: outputs.map((tensor) => ownedWrite(tile, { tensor }) ?? (at === 0 ? null : 'skip')),
  }));
}
