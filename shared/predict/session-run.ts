/**
 * A session run is one session as the predictor sees it. It has kernel calls over numbered values, and the shapes of
 * the values in each kind of step. Whole segments, tiles and streams all come down to this.
 */

import type { Graph, Node, NodeRange } from '../graph/index.js';
import {
  BYTES_PER_ELEMENT,
  boundaryOf,
  elementAt,
  elementCount,
  knownShape,
  tensorAt,
  tensorsRead,
  tensorsWritten,
} from '../graph/index.js';
import type { LinkLayout, Segment, ShapeOf, StreamLink, TileStream } from '../tile/index.js';
import { layoutLink, PHASES, tileShapes, tilesByShape, wholeShapes } from '../tile/index.js';

/** One kernel call. */
export interface Operation {
  /** Node of the graph. It is undefined for the joining and slicing that a stream adds. */
  readonly node: Node | undefined;
  /** Numbers of the values that are read, without constants. */
  readonly reads: readonly number[];
  /** Numbers of the values that are written. */
  readonly writes: readonly number[];
}

/** Steps in which all values have the same shapes. */
export interface StepKind {
  readonly shapeOf: ShapeOf;
  readonly count: number;
}

/** All that one session does. Values below the number of tensors are tensors; a stream adds further ones. */
export interface SessionRun {
  readonly range: NodeRange;
  readonly operations: readonly Operation[];
  /** Maps that are copied in for each step. */
  readonly inputs: readonly number[];
  /** Values that leave the session in each step. */
  readonly outputs: readonly number[];
  /** Values that a stream holds between steps: carried rows and padding. */
  readonly carried: readonly number[];
  readonly steps: readonly StepKind[];
  readonly bytesOf: (value: number, shapeOf: ShapeOf) => number;
}

/** Returns the sessions of a segment. There is one, or one for each link, but never one for each tile. */
export function sessionsOf(graph: Graph, segment: Segment): readonly SessionRun[] {
  switch (segment.kind) {
    case 'whole':
      return [rangeRun(graph, segment, [{ shapeOf: wholeShapes(graph), count: 1 }])];
    case 'tiles': {
      const kinds = tilesByShape(segment, segment.space.reference);
      const steps = kinds.map(({ example, tiles }) => ({
        shapeOf: tileShapes(graph, example),
        count: tiles.length,
      }));
      return [rangeRun(graph, segment, steps)];
    }
    case 'stream':
      return segment.links.map((link) => linkRun(graph, link));
    case 'streamed-tiles':
      return [tileStreamsRun(segment.streams)];
  }
}

/** Makes one session of all streams of tiles. They have the same operations and values, in other shapes. */
function tileStreamsRun(streams: readonly TileStream[]): SessionRun {
  const runs = streams.map(({ graph, link, tiles }) => {
    const run = linkRun(graph, link);
    const steps = run.steps.map(({ shapeOf, count }) => ({ shapeOf, count: count * tiles.length }));
    return { ...run, steps };
  });
  return { ...elementAt(runs, 0), steps: runs.flatMap(({ steps }) => steps) };
}

function rangeRun(graph: Graph, range: NodeRange, steps: readonly StepKind[]): SessionRun {
  const operations = graph.nodes.slice(range.from, range.to).map((node) => operationOf(graph, node));
  return { range, operations, ...boundaryOf(graph, range), carried: [], steps, bytesOf: bytesIn(graph, []) };
}

function operationOf(graph: Graph, node: Node): Operation {
  const reads = tensorsRead(node).filter((index) => tensorAt(graph, index).constant === null);
  return { node, reads, writes: tensorsWritten(node) };
}

/** Makes the session of a link. Between its nodes stand the calls that join, keep and pick their rows. */
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
  for (const [offset, node] of graph.nodes.slice(from, to).entries()) {
    const at = from + offset;
    for (const { operand, joined, next, used } of layout.made.get(at) ?? []) {
      if (joined !== operand.tensor) operations.push(copying([operand.tensor], joined));
      if (next !== undefined) operations.push(copying([joined], next));
      if (used !== joined) operations.push(copying([joined], used));
    }
    operations.push(substituted(graph, node, layout.reads.get(at)));
  }
  return operations;
}

function copying(reads: readonly number[], write: number): Operation {
  return { node: undefined, reads, writes: [write] };
}

/** Returns the call of a node that reads values instead of some tensors. */
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
    const shape = knownShape(tensorAt(graph, value < count ? value : elementAt(sources, value - count)));
    const rowsInPhase = inPhase.get(value);
    const made = [...shape];
    if (rowsInPhase !== undefined) made[2] = rowsInPhase;
    shapes[value] = made;
    return made;
  };
}

function bytesIn(graph: Graph, sources: readonly number[]): SessionRun['bytesOf'] {
  const count = graph.tensors.length;
  return (value, shapeOf) => {
    const { dtype } = tensorAt(graph, value < count ? value : elementAt(sources, value - count));
    return elementCount(shapeOf(value)) * BYTES_PER_ELEMENT[dtype];
  };
}
