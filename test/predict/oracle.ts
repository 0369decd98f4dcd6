/**
 * The oracle of the predictor: what one session takes, from the graph of the link that is really run (`layoutLink`), and
 * with maps and shapes in place of the predictor's arrays. It is slow, and says the rules once more.
 */
import type { Graph, Node, NodeRange } from '../../shared/graph/index.js';
import {
  BYTES_PER_ELEMENT,
  boundaryOf,
  elementAt,
  elementCount,
  knownShape,
  tensorAt,
  tensorsRead,
  tensorsWritten,
} from '../../shared/graph/index.js';
import type { PredictSettings, SessionNeed, WorkAmounts } from '../../shared/predict/index.js';
import {
  BUILT_IN_PROFILE,
  convScratchBytes,
  costsFor,
  emptyWork,
  latencyOf,
  runsInPlace,
  WORK_KINDS,
} from '../../shared/predict/index.js';
import { countFaults, countKernelWork } from '../../shared/predict/kernel-work.js';
import { countMacs } from '../../shared/predict/macs.js';
import { isActivation } from '../../shared/predict/operators.js';
import { paddingRatio } from '../../shared/predict/padding.js';
import type { Phase, Segment, ShapeOf, StreamLink } from '../../shared/tile/index.js';
import { layoutLink, PHASES, tileShapes, tilesByShape, wholeShapes } from '../../shared/tile/index.js';

/** A kernel call. `node` is undefined for joining and slicing. */
interface Operation {
  readonly node: Node | undefined;
  readonly reads: readonly number[];
  readonly writes: readonly number[];
}

interface Session {
  readonly range: NodeRange;
  readonly operations: readonly Operation[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Values with buffers as long as the segment runs. */
  readonly held: readonly number[];
  readonly steps: readonly { readonly shapeOf: ShapeOf; readonly count: number }[];
  readonly bytesOf: (value: number, shapeOf: ShapeOf) => number;
}

/** Returns what each session of a segment takes. */
export function oracleNeeds(
  graph: Graph,
  segment: Segment,
  settings: PredictSettings,
): readonly SessionNeed[] {
  const cost = costsFor(settings.profile ?? BUILT_IN_PROFILE, settings);
  return sessionsOf(graph, segment).map((session) => {
    const { steps, held, bytesOf } = session;
    const peaks = steps.map(({ shapeOf }) => peakOf(graph, session, { ...settings, shapeOf }));
    const outputs = steps.map(({ shapeOf }) => sum(session.outputs.map((value) => bytesOf(value, shapeOf))));
    const largest = peaks.map((bytes, at) => Math.max(bytes, 2 * elementAt(outputs, at)));
    const most = (value: number) => Math.max(...steps.map(({ shapeOf }) => bytesOf(value, shapeOf)));
    const works = steps.map(({ shapeOf, count }, at) => {
      const run = { peakBytes: elementAt(peaks, at), outputBytes: elementAt(outputs, at) };
      return count * latencyOf(workOf(graph, session, { shapeOf, run }), cost);
    });
    return {
      latencyMs: sum(works),
      heldBytes: sum(held.map(most)),
      stepBytes: Math.max(...largest),
      repeatedBytes: Math.max(0, ...largest.filter((_, at) => elementAt(steps, at).count > 1)),
      macs: sum(steps.map(({ shapeOf, count }) => count * macsOf(graph, session, shapeOf))),
      kinds: steps.length,
    };
  });
}

/** Counts the multiply-accumulates of a step, over the rows that operators read and give in it. */
function macsOf(graph: Graph, { operations }: Session, shapeOf: ShapeOf): number {
  return sum(operations.map(({ node }) => (node === undefined ? 0 : countMacs(graph, node, shapeOf))));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Asks at every operation which values are alive. */
function peakOf(
  graph: Graph,
  { operations, outputs, bytesOf }: Session,
  step: PredictSettings & { readonly shapeOf: ShapeOf },
): number {
  const isTensor = (value: number) => value < graph.tensors.length;
  const bytes = (value: number) =>
    bytesOf(value, step.shapeOf) * (isTensor(value) ? paddingRatio(graph, value, step.level) : 1);
  const lastRead = (value: number) =>
    outputs.includes(value)
      ? operations.length
      : operations.findLastIndex(({ reads }) => reads.includes(value));
  const makers = new Map(operations.flatMap(({ writes }, at) => writes.map((value) => [value, at])));
  const peaks = operations.map(({ node, reads, writes }, at) => {
    const alive = [...makers].filter(
      ([value, maker]) => maker <= at && Math.max(maker, lastRead(value)) >= at,
    );
    const dies = (value: number) => makers.has(value) && lastRead(value) === at;
    const size = bytes(elementAt(writes, 0));
    const reused =
      node !== undefined && runsInPlace(node)
        ? reads.slice(0, 2).find((value) => dies(value) && bytes(value) === size)
        : undefined;
    const scratch = node === undefined ? 0 : convScratchBytes(graph, node, step);
    return sum(alive.map(([value]) => bytes(value))) - (reused === undefined ? 0 : bytes(reused)) + scratch;
  });
  return Math.max(...peaks);
}

/** Counts the work of one step. */
function workOf(
  graph: Graph,
  { operations, inputs, outputs, bytesOf }: Session,
  { shapeOf, run }: { readonly shapeOf: ShapeOf; readonly run: Parameters<typeof countFaults>[0] },
): WorkAmounts {
  const bytes = (values: readonly number[]) => sum(values.map((value) => bytesOf(value, shapeOf)));
  const work = { ...emptyWork(), ...countFaults(run), steps: 1, copiedBytes: bytes([...inputs, ...outputs]) };
  for (const [at, { node, reads, writes }] of operations.entries()) {
    const before = operations[at - 1];
    const isAfterConv = before?.node?.op === 'Conv' && reads[0] === before.writes[0];
    if (node !== undefined && isActivation(node) && isAfterConv) continue;
    const multiplies = node !== undefined && countMacs(graph, node, shapeOf) > 0;
    const own = multiplies
      ? countKernelWork(graph, node, shapeOf)
      : { ...emptyWork(), calls: 1, movedBytes: bytes(reads) + bytes(writes) };
    for (const kind of WORK_KINDS) work[kind] += own[kind];
  }
  return work;
}

function sessionsOf(graph: Graph, segment: Segment): readonly Session[] {
  switch (segment.kind) {
    case 'whole': {
      const { inputs } = boundaryOf(graph, segment);
      const images = inputs.filter((index) => graph.inputs.includes(index));
      return [
        rangeSession(graph, segment, { held: images, steps: [{ shapeOf: wholeShapes(graph), count: 1 }] }),
      ];
    }
    case 'tiles': {
      const kinds = tilesByShape(segment, segment.space.reference);
      const steps = kinds.map(({ example, tiles }) => ({
        shapeOf: tileShapes(graph, example),
        count: tiles.length,
      }));
      return [rangeSession(graph, segment, { held: boundaryOf(graph, segment).inputs, steps })];
    }
    case 'stream':
      return segment.links.map((link) => linkSession(graph, link));
    case 'streamed-tiles': {
      const sessions = segment.streams.map((stream) => {
        const session = linkSession(stream.graph, stream.link);
        const steps = session.steps.map((step) => ({ ...step, count: step.count * stream.tiles.length }));
        return { ...session, steps };
      });
      return [{ ...elementAt(sessions, 0), steps: sessions.flatMap(({ steps }) => steps) }];
    }
  }
}

function rangeSession(graph: Graph, range: NodeRange, rest: Pick<Session, 'held' | 'steps'>): Session {
  const operations = graph.nodes.slice(range.from, range.to).map((node) => operationOf(graph, node));
  return { range, operations, ...boundaryOf(graph, range), ...rest, bytesOf: bytesIn(graph, []) };
}

function operationOf(graph: Graph, node: Node): Operation {
  const reads = tensorsRead(node).filter((index) => tensorAt(graph, index).constant === null);
  return { node, reads, writes: tensorsWritten(node) };
}

/** Makes the session of a link from the layout of its graph. */
function linkSession(graph: Graph, link: StreamLink): Session {
  const { made, crops, reads, rows, sources } = layoutLink(graph, link);
  const { boundary } = link.stream.space;
  const parts = [...made.values()].flat();
  const values = (of: (part: (typeof parts)[number]) => readonly (number | undefined)[]) =>
    parts.flatMap(of).filter((value) => value !== undefined);
  const outputs = [...boundary.outputs, ...values(({ next }) => [next])];
  const counts = { first: 1, middle: link.stream.middleSteps, last: 1 };
  const shapesIn = (phase: Phase) => (value: number) => {
    const shape = knownShape(tensorAt(graph, sources[value - graph.tensors.length] ?? value));
    const count = rows[phase].get(value);
    return count === undefined ? shape : [...shape.slice(0, 2), count, ...shape.slice(3)];
  };
  const copying = (from: number, to: number) => ({ node: undefined, reads: [from], writes: [to] });
  const operations = graph.nodes.slice(link.from, link.to).flatMap((node, offset) => {
    const at = link.from + offset;
    const copies = (made.get(at) ?? []).flatMap(({ operand, joined, next, used }) => [
      ...(joined === operand.tensor ? [] : [copying(operand.tensor, joined)]),
      ...(next === undefined ? [] : [copying(joined, next)]),
      ...(used === joined ? [] : [copying(joined, used)]),
    ]);
    const replaced = {
      ...node,
      inputs: node.inputs.map((index, input) => reads.get(at)?.get(input) ?? index),
    };
    const isRead = (index: number) =>
      index >= graph.tensors.length || tensorAt(graph, index).constant === null;
    // Scratch and work are those of the rows that the operator reads and gives.
    const call = {
      node: replaced,
      reads: tensorsRead(replaced).filter(isRead),
      writes: tensorsWritten(node),
    };
    const crop = crops.get(at);
    if (crop === undefined) return [...copies, call];
    const given = { ...call, node: { ...replaced, outputs: [crop.made] }, writes: [crop.made] };
    return [...copies, given, copying(crop.made, elementAt(call.writes, 0))];
  });
  return {
    range: link,
    operations,
    inputs: boundary.inputs,
    outputs,
    held: [...boundary.inputs, ...outputs, ...values(({ carry, tail }) => [carry, tail])],
    steps: PHASES.filter((phase) => counts[phase] > 0).map((phase) => ({
      shapeOf: shapesIn(phase),
      count: counts[phase],
    })),
    bytesOf: bytesIn(graph, sources),
  };
}

function bytesIn(graph: Graph, sources: readonly number[]): Session['bytesOf'] {
  return (value, shapeOf) => {
    const { dtype } = tensorAt(graph, sources[value - graph.tensors.length] ?? value);
    return elementCount(shapeOf(value)) * BYTES_PER_ELEMENT[dtype];
  };
}
