/**
 * Plan -> program. Numbers the maps that cross cuts, writes each segment as an ONNX model whose weights stay
 * in the stored model's data file, and turns tiles into regions to read and to write.
 */
import type { Graph, Interval, Plan, Segment, Tile, TiledSegment } from '../../shared/index.js';
import {
  boundaryOf,
  extractSegment,
  knownShape,
  tensorAt,
  tilesOfGrid,
  writeOnnx,
} from '../../shared/index.js';
import type { ImageInput, MapSpec, Program, Region, SegmentProgram, Step, TileWrite } from './protocol.js';

export interface CompileOptions {
  readonly folder: string;
  readonly input: ImageInput;
  readonly level: Program['level'];
  readonly threads: number;
}

/** @throws {RangeError} if a tensor without a fixed shape crosses a cut. */
export function compilePlan(graph: Graph, plan: Plan, options: CompileOptions): Program {
  const segments = plan.segments.map(({ segment }) => segment);
  const crossing = [
    ...new Set([...graph.inputs, ...segments.flatMap((segment) => boundaryOf(graph, segment).outputs)]),
  ];
  const mapOf = new Map(crossing.map((tensor, at) => [tensor, at]));
  const tiled = new Set(segments.flatMap((segment) => tiledOutputs(graph, segment)));
  const compiler: Compiler = { graph, mapOf };
  return {
    ...options,
    maps: crossing.map((tensor): MapSpec => {
      const { dtype } = tensorAt(graph, tensor);
      return { dtype, shape: knownShape(tensorAt(graph, tensor)), preallocated: tiled.has(tensor) };
    }),
    segments: segments.map((segment) => compileSegment(compiler, segment)),
    outputs: graph.outputs.map((tensor) => ({
      name: tensorAt(graph, tensor).name,
      map: mapOf.get(tensor) ?? -1,
    })),
  };
}

interface Compiler {
  readonly graph: Graph;
  readonly mapOf: ReadonlyMap<number, number>;
}

function tiledOutputs(graph: Graph, segment: Segment): readonly number[] {
  if (segment.kind === 'whole') return [];
  return boundaryOf(graph, segment).outputs.filter((tensor) => segment.space.scales.has(tensor));
}

function compileSegment({ graph, mapOf }: Compiler, segment: Segment): SegmentProgram {
  const { inputs, outputs } = boundaryOf(graph, segment);
  const bind = (tensor: number) => ({ name: tensorAt(graph, tensor).name, map: mapOf.get(tensor) ?? -1 });
  const later = new Set([
    ...boundaryOf(graph, { from: segment.to, to: graph.nodes.length }).inputs,
    ...graph.outputs,
  ]);
  return {
    model: writeOnnx(extractSegment(graph, segment), { symbolicSpace: true }),
    feeds: inputs.map(bind),
    fetches: outputs.map(bind),
    steps: segment.kind === 'whole' ? [wholeStep(inputs, outputs)] : tileSteps(segment, { inputs, outputs }),
    frees: inputs.filter((tensor) => !later.has(tensor)).map((tensor) => mapOf.get(tensor) ?? -1),
  };
}

function wholeStep(inputs: readonly number[], outputs: readonly number[]): Step {
  return { reads: inputs.map(() => null), writes: outputs.map(() => null) };
}

interface Bindings {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

function tileSteps(segment: TiledSegment, { inputs, outputs }: Bindings): readonly Step[] {
  return tilesOfGrid(segment).map((tile, at) => ({
    reads: inputs.map((tensor) => readRegion(tile, tensor)),
    writes: outputs.map((tensor) => tileWrite(tile, tensor) ?? (at === 0 ? null : 'skip')),
  }));
}

function readRegion({ rows, cols }: Tile, tensor: number): Region | null {
  const rowsRead = rows.reads.get(tensor);
  const colsRead = cols.reads.get(tensor);
  return rowsRead === undefined || colsRead === undefined ? null : region(rowsRead, colsRead);
}

function region(rows: Interval, cols: Interval): Region {
  return { rowFrom: rows.from, rowTo: rows.to, colFrom: cols.from, colTo: cols.to };
}

/** What a tile owns of an output, in coordinates of the tile, and where it belongs. */
function tileWrite({ rows, cols }: Tile, tensor: number): TileWrite | undefined {
  const [ownRows, ownCols] = [rows.owns.get(tensor), cols.owns.get(tensor)];
  const [spanRows, spanCols] = [rows.spans.get(tensor), cols.spans.get(tensor)];
  if (ownRows === undefined || ownCols === undefined || spanRows === undefined || spanCols === undefined)
    return undefined;
  const crop = region(shift(ownRows, spanRows.from), shift(ownCols, spanCols.from));
  return { crop, row: ownRows.from, col: ownCols.from };
}

function shift({ from, to }: Interval, by: number): Interval {
  return { from: from - by, to: to - by };
}
