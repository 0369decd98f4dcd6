/**
 * This file lays out the values that a link of a stream has in addition to its graph's tensors.
 *
 * 1. Each operand that isn't just the new rows gets values for the rows that are joined, kept and used.
 * 2. Operands of one tensor that are made of the same rows share their values.
 * 3. The output of each operator that is cropped gets values for the rows that the operator gives, and for the bounds.
 * 4. Values are numbered on after the tensors of the graph.
 *
 * Both the link's ONNX graph and the predictor are built on this layout, so that they can't disagree.
 */
import type { Graph } from '../graph/index.js';
import { valueFor } from '../graph/index.js';
import type { Phase, RowsOf, StreamCrop, StreamLink, StreamOperand } from './stream.js';
import { mapPhases, PHASES } from './stream.js';

/** The values that one operand is made of, by number. Those without rows in any step are undefined. */
export interface MadeOperand {
  readonly operand: StreamOperand;
  /** Rows that are carried in, an input of the session. */
  readonly carry: number | undefined;
  /** Rows of padding after the new rows, an input of the session. */
  readonly tail: number | undefined;
  /** Number of rows to use, an input of the session. It is undefined where all rows are used. */
  readonly take: number | undefined;
  /** Carry, new rows and tail in one. It is the tensor itself where there are only new rows. */
  readonly joined: number;
  /** Rows for the next step, an output of the session. */
  readonly next: number | undefined;
  /** Value that the node reads. */
  readonly used: number;
}

/** The values around an output that is cropped, by number. */
export interface MadeCrop {
  readonly crop: StreamCrop;
  /** Rows that the operator gives. */
  readonly made: number;
  /** First row to take, an input of the session. It is undefined where that is always the first one. */
  readonly from: number | undefined;
  /** First row not to take, an input of the session. */
  readonly to: number;
}

/** All values of a link. */
export interface LinkLayout {
  /** Operands by position of the first node that reads them. */
  readonly made: ReadonlyMap<number, readonly MadeOperand[]>;
  /** Crops by position of the node. */
  readonly crops: ReadonlyMap<number, MadeCrop>;
  /** Values that are numbers of rows, inputs of the session, and what they are by phase. */
  readonly counts: ReadonlyMap<number, Readonly<Record<Phase, number>>>;
  /** Values that nodes read instead of tensors, by position of the node, then by input. */
  readonly reads: ReadonlyMap<number, ReadonlyMap<number, number>>;
  /** Rows of tensors with space and of values, by phase. */
  readonly rows: Readonly<Record<Phase, RowsOf>>;
  /** Tensor whose other dimensions each value has, in the order of the values' numbers. */
  readonly sources: readonly number[];
}

/** Lays out the operands of a link. */
export function layoutLink(graph: Graph, { stream }: StreamLink): LinkLayout {
  const layout = new Layout(graph, stream.rows);
  for (const operand of stream.operands) layout.add(operand);
  for (const crop of stream.crops) layout.crop(crop);
  return layout;
}

/** Returns a key that links of one range share if their operands are made in the same way, whatever their rows. */
export function layoutKey({ made, crops, reads, sources }: LinkLayout): string {
  const operands = [...made.values()].flat().map(({ operand, ...values }) => [operand.kept, values]);
  const cropped = [...crops].map(([node, { crop: _, ...values }]) => [node, values]);
  return JSON.stringify([operands, cropped, [...reads].map(([node, inputs]) => [node, ...inputs]), sources]);
}

class Layout implements LinkLayout {
  readonly made = new Map<number, MadeOperand[]>();
  readonly crops = new Map<number, MadeCrop>();
  readonly counts = new Map<number, Readonly<Record<Phase, number>>>();
  readonly reads = new Map<number, Map<number, number>>();
  readonly rows: Readonly<Record<Phase, Map<number, number>>>;
  readonly sources: number[] = [];
  /** Number of the first value. */
  readonly #first: number;
  /** Value that is used, by what the operand is made of. */
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

  /** Lays out the output of an operator that is cropped. */
  crop(crop: StreamCrop): void {
    const { node, tensor, from, made } = crop;
    const value = this.#addValue(tensor);
    const start = from.middle > 0 ? this.#addCount(tensor, from) : undefined;
    const ends = mapPhases((phase) => from[phase] + valueFor(this.rows[phase], tensor));
    this.crops.set(node, { crop, made: value, from: start, to: this.#addCount(tensor, ends) });
    for (const phase of PHASES) this.rows[phase].set(value, made[phase]);
  }

  #make(operand: StreamOperand): number {
    const { tensor, top, kept, bottom, takes } = operand;
    const value = (wanted: boolean) => (wanted ? this.#addValue(tensor) : undefined);
    const carry = value(top > 0 || kept > 0);
    const tail = value(bottom > 0);
    const joined = carry === undefined && tail === undefined ? tensor : this.#addValue(tensor);
    const next = value(kept > 0);
    const take = takes === undefined ? undefined : this.#addCount(tensor, takes);
    const used = value(takes !== undefined) ?? joined;
    const made = { operand, carry, tail, take, joined, next, used };
    this.made.set(operand.node, [...(this.made.get(operand.node) ?? []), made]);
    for (const phase of PHASES) this.#setRows(made, phase);
    return used;
  }

  #addValue(tensor: number): number {
    return this.#first + this.sources.push(tensor) - 1;
  }

  #addCount(tensor: number, rows: Readonly<Record<Phase, number>>): number {
    const value = this.#addValue(tensor);
    this.counts.set(value, rows);
    return value;
  }

  #setRows({ operand, carry, tail, joined, next, used }: MadeOperand, phase: Phase): void {
    const { tensor, top, kept, bottom, takes } = operand;
    const rows = this.rows[phase];
    const before = phase === 'first' ? top : kept;
    const after = phase === 'last' ? bottom : 0;
    if (carry !== undefined) rows.set(carry, before);
    if (tail !== undefined) rows.set(tail, after);
    if (next !== undefined) rows.set(next, kept);
    if (joined !== tensor) rows.set(joined, before + valueFor(rows, tensor) + after);
    if (takes !== undefined) rows.set(used, takes[phase]);
  }
}
