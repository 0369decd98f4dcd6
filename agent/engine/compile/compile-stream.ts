/** Compiles a streamed segment: a session for each of its links, and the steps of all links in the order they run. */

import type { Graph } from '../../../shared/graph/index.js';
import { compactGraph, elementAt, knownShape, tensorAt } from '../../../shared/graph/index.js';
import { writeOnnx } from '../../../shared/onnx/index.js';
import type {
  Interval,
  LinkStep,
  MadeOperand,
  Phase,
  StreamedSegment,
  StreamLink,
} from '../../../shared/tile/index.js';
import { buildLinkGraph, sizeAlong } from '../../../shared/tile/index.js';
import type {
  CarrySpec,
  SegmentProgram,
  SessionProgram,
  Step,
  StreamSpec,
  TileWrite,
} from '../wire/protocol.js';
import { addOutputReaders, runLeavesInOrder } from './leaf-order.js';
import type { NumberedMaps } from './map-binding.js';
import { bindMaps } from './map-binding.js';
import { RowCursor } from './row-cursor.js';
import { region } from './tile-region.js';

export function compileStream(
  { graph, mapOf }: NumberedMaps,
  { links, order }: StreamedSegment,
): Pick<SegmentProgram, 'sessions' | 'steps'> {
  const cursors = links.map((link) => new LinkCursor(graph, link));
  return {
    sessions: links.map((link) => ({
      ...compileLink({ graph, mapOf }, link),
      carries: [streamSpecOf(graph, link)],
    })),
    steps: order.steps.map((step) => elementAt(cursors, step.link).next(step)),
  };
}

/** The session of a link, without what it carries. */
export function compileLink(
  { graph, mapOf }: NumberedMaps,
  link: StreamLink,
): Omit<SessionProgram, 'carries'> {
  const { inputs, outputs } = link.stream.space.boundary;
  const { graph: linked } = buildLinkGraph(graph, link);
  const ordered = runLeavesInOrder(addOutputReaders(linked, outputs));
  return {
    model: writeOnnx(compactGraph(ordered), { symbolicSpace: true }),
    feeds: bindMaps({ graph, mapOf }, inputs),
    fetches: bindMaps({ graph, mapOf }, outputs),
  };
}

/** What a link's steps take in and keep. @param graph whose maps are as wide as the link's. */
export function streamSpecOf(graph: Graph, link: StreamLink): StreamSpec {
  const { graph: linked, ports, counts } = buildLinkGraph(graph, link);
  return {
    carries: ports.map((port) => carryOf(linked, port)),
    counts: [...counts].map(([input, rows]) => ({ name: tensorAt(linked, input).name, rows })),
  };
}

function carryOf(graph: Graph, { operand, carry, next, tail }: MadeOperand): CarrySpec {
  const nameOf = (index: number) => tensorAt(graph, index).name;
  const { dtype } = tensorAt(graph, operand.tensor);
  const shape = knownShape(tensorAt(graph, operand.tensor));
  const { top, kept, bottom, fill } = operand;
  return {
    dtype,
    channels: elementAt(shape, 1),
    cols: elementAt(shape, 3),
    fill,
    carry: carry === undefined ? null : { name: nameOf(carry), top, kept },
    next: next === undefined ? null : nameOf(next),
    tail: tail === undefined ? null : { name: nameOf(tail), bottom },
  };
}

/** Follows a link through its steps, and says which rows each step reads and writes. */
class LinkCursor {
  readonly #graph: Graph;
  readonly #link: StreamLink;
  readonly #rows: RowCursor;
  #isFirst = true;

  constructor(graph: Graph, link: StreamLink) {
    this.#graph = graph;
    this.#link = link;
    this.#rows = new RowCursor(link.stream);
  }

  next({ link, phase }: LinkStep): Step {
    const { inputs, outputs } = this.#link.stream.space.boundary;
    const step: Step = {
      session: link,
      phase,
      carries: 0,
      reads: inputs.map((tensor) => {
        const rows = this.#rows.advance(tensor, phase);
        return rows === undefined ? null : region(rows, this.#colsOf(tensor));
      }),
      writes: outputs.map((tensor) => this.#write(tensor, phase)),
    };
    this.#isFirst = false;
    return step;
  }

  #write(tensor: number, phase: Phase): TileWrite | 'skip' | null {
    const rows = this.#rows.advance(tensor, phase);
    if (rows === undefined) return this.#isFirst ? null : 'skip';
    const crop = region({ from: 0, to: rows.to - rows.from }, this.#colsOf(tensor));
    return { crop, row: rows.from, col: 0 };
  }

  #colsOf(tensor: number): Interval {
    return { from: 0, to: sizeAlong(this.#graph, tensor, 'cols') };
  }
}
