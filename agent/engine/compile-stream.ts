/** A streamed segment -> the sessions of its links, and the steps of all of them in the order they run. */
import type { Graph, LinkStep, MadeOperand, Phase, StreamedSegment, StreamLink } from '../../shared/index.js';
import {
  buildLinkGraph,
  compactGraph,
  knownShape,
  sizeAlong,
  tensorAt,
  writeOnnx,
} from '../../shared/index.js';
import type { NumberedMaps } from './map-binding.js';
import { bindMaps } from './map-binding.js';
import type { CarrySpec, Region, SegmentProgram, SessionProgram, Step, TileWrite } from './protocol.js';

export function compileStream(
  { graph, mapOf }: NumberedMaps,
  { links, order }: StreamedSegment,
): Pick<SegmentProgram, 'sessions' | 'steps'> {
  const cursors = links.map((link) => new LinkCursor(graph, link));
  return {
    sessions: links.map((link) => compileLink({ graph, mapOf }, link)),
    steps: order.steps.flatMap((step) => cursors[step.link]?.next(step) ?? []),
  };
}

function compileLink({ graph, mapOf }: NumberedMaps, link: StreamLink): SessionProgram {
  const { inputs, outputs } = link.stream.space.boundary;
  const { graph: linked, ports } = buildLinkGraph(graph, link);
  return {
    model: writeOnnx(compactGraph(linked), { symbolicSpace: true }),
    feeds: bindMaps({ graph, mapOf }, inputs),
    fetches: bindMaps({ graph, mapOf }, outputs),
    carries: ports.map((port) => carryOf(linked, port)),
  };
}

function carryOf(graph: Graph, { operand, carry, next, tail, take }: MadeOperand): CarrySpec {
  const nameOf = (index: number) => tensorAt(graph, index).name;
  const [, channels = 1, , cols = 1] = knownShape(tensorAt(graph, operand.tensor));
  const { top, kept, bottom, fill, takes } = operand;
  return {
    channels,
    cols,
    fill,
    carry: carry === undefined ? null : { name: nameOf(carry), top, kept },
    next: next === undefined ? null : nameOf(next),
    tail: tail === undefined ? null : { name: nameOf(tail), bottom },
    take: take === undefined || takes === undefined ? null : { name: nameOf(take), rows: takes },
  };
}

/** Follows a link through its steps: which rows each of them reads and writes. */
class LinkCursor {
  readonly #graph: Graph;
  readonly #link: StreamLink;
  readonly #rows = new Map<number, number>();
  #isFirst = true;

  constructor(graph: Graph, link: StreamLink) {
    this.#graph = graph;
    this.#link = link;
  }

  next({ link, phase }: LinkStep): Step {
    const { inputs, outputs } = this.#link.stream.space.boundary;
    const step: Step = {
      session: link,
      phase,
      reads: inputs.map((tensor) => this.#advance(tensor, phase) ?? null),
      writes: outputs.map((tensor) => this.#write(tensor, phase)),
    };
    this.#isFirst = false;
    return step;
  }

  /** The next rows of a tensor; undefined for one without space, which is there as a whole. */
  #advance(tensor: number, phase: Phase): Region | undefined {
    const { space, rows } = this.#link.stream;
    if (!space.scales.has(tensor)) return undefined;
    const rowFrom = this.#rows.get(tensor) ?? 0;
    const rowTo = rowFrom + (rows[phase].get(tensor) ?? 0);
    this.#rows.set(tensor, rowTo);
    return { rowFrom, rowTo, colFrom: 0, colTo: sizeAlong(this.#graph, tensor, 'cols') };
  }

  #write(tensor: number, phase: Phase): TileWrite | 'skip' | null {
    const region = this.#advance(tensor, phase);
    if (region === undefined) return this.#isFirst ? null : 'skip';
    const { rowFrom, rowTo } = region;
    return { crop: { ...region, rowFrom: 0, rowTo: rowTo - rowFrom }, row: rowFrom, col: 0 };
  }
}
