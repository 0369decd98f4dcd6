/**
 * What a link of a stream is made of beside its nodes: for each operand that isn't just the new rows, the values
 * that are joined, kept and used. Both the link's ONNX graph and the predictor are built on it.
 *
 * Operands of one tensor that are made of the same rows share them. Values have numbers behind the tensors of
 * the graph.
 */
import type { Graph } from '../graph/index.js';
import type { Phase, RowsOf, StreamLink, StreamOperand } from './stream.js';
import { mapPhases, PHASES } from './stream.js';

export interface MadeOperand {
  readonly operand: StreamOperand;
  /** Rows carried in, and rows of padding behind: inputs of the session, where there are any. */
  readonly carry: number | undefined;
  readonly tail: number | undefined;
  /** Number of rows to use, an input, where these aren't all there are. */
  readonly take: number | undefined;
  /** Carry, new rows and tail in one; the tensor itself where there are only new rows. */
  readonly joined: number;
  /** Rows for the next step: an output of the session. */
  readonly next: number | undefined;
  /** What the node reads. */
  readonly used: number;
}

export interface LinkLayout {
  /** By position of the first node that reads them. */
  readonly made: ReadonlyMap<number, readonly MadeOperand[]>;
  /** Values that nodes read instead of tensors: by position of the node, then by input. */
  readonly reads: ReadonlyMap<number, ReadonlyMap<number, number>>;
  /** Rows of tensors with space and of values, by phase. */
  readonly rows: Readonly<Record<Phase, RowsOf>>;
  /** Tensor that each value has its other dimensions from, in the order of their numbers. */
  readonly sources: readonly number[];
}

export function layoutLink(graph: Graph, { stream }: StreamLink): LinkLayout {
  const layout = new Layout(graph, stream.rows);
  for (const operand of stream.operands) layout.add(operand);
  return layout;
}

/** Equal for links of one range whose operands are made in the same way, however many rows a step has. */
export function layoutKey({ made, reads, sources }: LinkLayout): string {
  const operands = [...made.values()].flat().map(({ operand, ...values }) => [operand.kept, values]);
  return JSON.stringify([operands, [...reads].map(([node, inputs]) => [node, ...inputs]), sources]);
}

class Layout implements LinkLayout {
  readonly made = new Map<number, MadeOperand[]>();
  readonly reads = new Map<number, Map<number, number>>();
  readonly rows: Readonly<Record<Phase, Map<number, number>>>;
  readonly sources: number[] = [];
  readonly #first: number;
  readonly #shared = new Map<string, number>();

  constructor(graph: Graph, rows: Readonly<Record<Phase, RowsOf>>) {
    this.#first = graph.tensors.length;
    this.rows = mapPhases((phase) => new Map(rows[phase]));
  }

  add(operand: StreamOperand): void {
    const { tensor, top, kept, bottom, takes } = operand;
    const key = [tensor, top, kept, bottom, operand.fill, takes?.first, takes?.middle, takes?.last].join();
    const used = this.#shared.get(key) ?? this.#make(operand);
    this.#shared.set(key, used);
    const reads = this.reads.get(operand.node) ?? new Map<number, number>();
    this.reads.set(operand.node, reads.set(operand.input, used));
  }

  #make(operand: StreamOperand): number {
    const { tensor, top, kept, bottom, takes } = operand;
    const value = (wanted: boolean) => (wanted ? this.#addValue(tensor) : undefined);
    const carry = value(top > 0 || kept > 0);
    const tail = value(bottom > 0);
    const joined = carry === undefined && tail === undefined ? tensor : this.#addValue(tensor);
    const next = value(kept > 0);
    const take = value(takes !== undefined);
    const used = value(takes !== undefined) ?? joined;
    const made = { operand, carry, tail, take, joined, next, used };
    this.made.set(operand.node, [...(this.made.get(operand.node) ?? []), made]);
    for (const phase of PHASES) this.#setRows(made, phase);
    return used;
  }

  #addValue(tensor: number): number {
    return this.#first + this.sources.push(tensor) - 1;
  }

  #setRows({ operand, carry, tail, joined, next, used }: MadeOperand, phase: Phase): void {
    const { tensor, top, kept, bottom, takes } = operand;
    const rows = this.rows[phase];
    const before = phase === 'first' ? top : kept;
    const after = phase === 'last' ? bottom : 0;
    if (carry !== undefined) rows.set(carry, before);
    if (tail !== undefined) rows.set(tail, after);
    if (next !== undefined) rows.set(next, kept);
    if (joined !== tensor) rows.set(joined, before + (rows.get(tensor) ?? 0) + after);
    if (takes !== undefined) rows.set(used, takes[phase]);
  }
}
