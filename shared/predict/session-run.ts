/**
 * What one session runs, as the predictor sees it: kernel calls over numbered values, and the shapes the values
 * have in each kind of step. Whole segments, tiles and streams all come down to this.
 */

import type { Graph, Node, NodeRange } from '../graph/index.js';
import {
  BYTES_PER_ELEMENT,
  boundaryOf,
  elementCount,
  knownShape,
  tensorAt,
  tensorsRead,
  tensorsWritten,
} from '../graph/index.js';
import type { LinkLayout, Segment, ShapeOf, StreamLink, TiledSegment, TileStream } from '../tile/index.js';
import { layoutLink, PHASES, shapeKey, tileShapes, tilesOfGrid, wholeShapes } from '../tile/index.js';

/** One kernel call. */
export interface Operation {
  /** Undefined for the joining and slicing that a stream adds. */
  readonly node: Node | undefined;
  /** Values, by number; constants apart. */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
}

/** Steps in which all values have the same shapes. */
export interface StepKind {
  readonly shapeOf: ShapeOf;
  readonly count: number;
}

export interface SessionRun {
  readonly range: NodeRange;
  readonly operations: readonly Operation[];
  /** Maps copied in for each step, and values that leave the session. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** What a stream holds between steps: rows carried and padding. */
  readonly carried: readonly number[];
  readonly steps: readonly StepKind[];
  readonly bytesOf: (value: number, shapeOf: ShapeOf) => number;
}

/** The sessions of a segment: one, or one a link, never one a tile. */
export function sessionsOf(graph: Graph, segment: Segment): readonly SessionRun[] {
  switch (segment.kind) {
    case 'whole':
      return [rangeRun(graph, segment, [{ shapeOf: wholeShapes(graph), count: 1 }])];
    case 'tiles': {
      return [rangeRun(graph, segment, tileKinds(graph, segment))];
    }
    case 'stream':
      return segment.links.map((link) => linkRun(graph, link));
    case 'streamed-tiles':
      return [tileStreamsRun(segment.streams)];
  }
}

/** Streams of tiles have the same operations and values, in other shapes. */
function tileStreamsRun(streams: readonly TileStream[]): SessionRun {
  const runs = streams.map(({ graph, link, tiles }) => {
    const run = linkRun(graph, link);
    const steps = run.steps.map(({ shapeOf, count }) => ({ shapeOf, count: count * tiles.length }));
    return { ...run, steps };
  });
  const [first] = runs;
  if (first === undefined) throw new RangeError('Cannot run a session without streams');
  return { ...first, steps: runs.flatMap(({ steps }) => steps) };
}

function tileKinds(graph: Graph, segment: TiledSegment): readonly StepKind[] {
  const kinds = new Map<string, { shapeOf: ShapeOf; count: number }>();
  for (const tile of tilesOfGrid(segment)) {
    const key = shapeKey(tile, segment.space.reference);
    const known = kinds.get(key);
    if (known === undefined) kinds.set(key, { shapeOf: tileShapes(graph, tile), count: 1 });
    else known.count += 1;
  }
  return [...kinds.values()];
}

function rangeRun(graph: Graph, range: NodeRange, steps: readonly StepKind[]): SessionRun {
  const operations = graph.nodes.slice(range.from, range.to).map((node) => operationOf(graph, node));
  return { range, operations, ...boundaryOf(graph, range), carried: [], steps, bytesOf: bytesIn(graph, []) };
}

function operationOf(graph: Graph, node: Node): Operation {
  const reads = tensorsRead(node).filter((index) => tensorAt(graph, index).constant === null);
  return { node, reads, writes: tensorsWritten(node) };
}

/** The session of a link: its nodes between what joins, keeps and picks their rows. */
export function linkRun(graph: Graph, link: StreamLink): SessionRun {
  const layout = layoutLink(graph, link);
  const { stream } = link;
  const made = [...layout.made.values()].flat();
  const isThere = (index: number | undefined) => index !== undefined;
  const counts = { first: 1, middle: stream.middleSteps, last: 1 };
  return {
    range: link,
    operations: linkOperations(graph, link, layout),
    inputs: stream.space.boundary.inputs,
    outputs: [...stream.space.boundary.outputs, ...made.map(({ next }) => next).filter(isThere)],
    carried: made.flatMap(({ carry, tail }) => [carry, tail]).filter(isThere),
    steps: PHASES.filter((phase) => counts[phase] > 0).map((phase) => ({
      shapeOf: shapesIn(graph, layout, phase),
      count: counts[phase],
    })),
    bytesOf: bytesIn(graph, layout.sources),
  };
}

function linkOperations(graph: Graph, { from, to }: NodeRange, layout: LinkLayout): readonly Operation[] {
  const operations: Operation[] = [];
  for (let at = from; at < to; at += 1) {
    for (const { operand, joined, next, used } of layout.made.get(at) ?? []) {
      if (joined !== operand.tensor) operations.push(copying([operand.tensor], joined));
      if (next !== undefined) operations.push(copying([joined], next));
      if (used !== joined) operations.push(copying([joined], used));
    }
    const node = graph.nodes[at];
    if (node !== undefined) operations.push(substituted(graph, node, layout.reads.get(at)));
  }
  return operations;
}

function copying(reads: readonly number[], write: number): Operation {
  return { node: undefined, reads, writes: [write] };
}

function substituted(graph: Graph, node: Node, reads: ReadonlyMap<number, number> | undefined): Operation {
  const operation = operationOf(graph, node);
  if (reads === undefined) return operation;
  const inputs = node.inputs.map((index, at) => reads.get(at) ?? index);
  const kept = inputs.filter((index) => index >= graph.tensors.length || operation.reads.includes(index));
  return { ...operation, reads: kept };
}

function shapesIn(graph: Graph, { rows, sources }: LinkLayout, phase: (typeof PHASES)[number]): ShapeOf {
  const count = graph.tensors.length;
  const inPhase = rows[phase];
  const shapes: (readonly number[])[] = [];
  return (value) => {
    const before = shapes[value];
    if (before !== undefined) return before;
    const shape = knownShape(tensorAt(graph, value < count ? value : (sources[value - count] ?? -1)));
    const known = inPhase.get(value);
    const made = known === undefined ? shape : [shape[0] ?? 1, shape[1] ?? 1, known, shape[3] ?? 1];
    shapes[value] = made;
    return made;
  };
}

function bytesIn(graph: Graph, sources: readonly number[]): SessionRun['bytesOf'] {
  const count = graph.tensors.length;
  return (value, shapeOf) => {
    const { dtype } = tensorAt(graph, value < count ? value : (sources[value - count] ?? -1));
    return elementCount(shapeOf(value)) * BYTES_PER_ELEMENT[dtype];
  };
}
