/**
 * This file orders the steps of linked streams, and counts the rows of the maps between them that must be kept.
 *
 * 1. The last link runs to its end. Before each step it asks the links that feed it for the rows of that step.
 * 2. A link that is asked runs steps, and asks further back, until it has made enough rows.
 * 3. Links without a reader run to their end at last.
 *
 * So between two links no more rows wait than one step of either. Where branches meet, the order isn't proved to
 * need the fewest rows.
 */

import type { Graph } from '../graph/index.js';
import { boundaryOf, elementAt, valueFor } from '../graph/index.js';
import type { Phase, StreamLink } from './stream.js';
import { phasesOf } from './stream.js';

/** One step of one link. */
export interface LinkStep {
  /** Position of the link in the list of links. */
  readonly link: number;
  readonly phase: Phase;
}

/** The steps of all links in the order they run, and the buffers between links. */
export interface LinkOrder {
  readonly steps: readonly LinkStep[];
  /** Rows that are kept at once of each tensor between links. Tensors used elsewhere are full maps, and absent. */
  readonly rings: ReadonlyMap<number, number>;
}

/** Orders the steps of links. @param links of neighbouring ranges, in order; at least one. */
export function orderLinks(graph: Graph, links: readonly StreamLink[]): LinkOrder {
  const run = new LinkRun(links);
  for (let link = links.length - 1; link >= 0; link -= 1) run.finish(link);
  const range = { from: elementAt(links, 0).from, to: elementAt(links, links.length - 1).to };
  const lasting = new Set(boundaryOf(graph, range).outputs);
  return {
    steps: run.steps,
    rings: new Map([...run.most].filter(([tensor, rows]) => rows > 0 && !lasting.has(tensor))),
  };
}

/** A run of the links without data: it counts rows only. */
class LinkRun {
  readonly steps: LinkStep[] = [];
  /** Most rows of each crossing tensor that wait at once. */
  readonly most = new Map<number, number>();
  readonly #links: readonly StreamLink[];
  readonly #phases: readonly (readonly Phase[])[];
  /** Steps that each link has run. */
  readonly #done: number[];
  /** Link that makes each crossing tensor. */
  readonly #maker = new Map<number, number>();
  /** Rows that are made of each output of a link. */
  readonly #made = new Map<number, number>();
  /** Rows that each link has read of each crossing tensor. */
  readonly #read: readonly Map<number, number>[];

  constructor(links: readonly StreamLink[]) {
    this.#links = links;
    this.#phases = links.map(({ stream }) => phasesOf(stream));
    this.#done = links.map(() => 0);
    this.#read = links.map(() => new Map());
    for (const [at, { stream }] of links.entries()) {
      for (const output of stream.space.boundary.outputs) {
        this.#maker.set(output, at);
        this.#made.set(output, 0);
      }
    }
    for (const [at, { stream }] of links.entries()) {
      const read = elementAt(this.#read, at);
      for (const input of stream.space.boundary.inputs) if (this.#maker.has(input)) read.set(input, 0);
    }
  }

  /** Runs the steps of a link that are left. */
  finish(link: number): void {
    while (this.#step(link));
  }

  /** Runs the next step of a link, and first the links that feed it. @returns false if the link has no step left. */
  #step(link: number): boolean {
    const phase = elementAt(this.#phases, link)[elementAt(this.#done, link)];
    if (phase === undefined) return false;
    const { stream } = elementAt(this.#links, link);
    const read = elementAt(this.#read, link);
    const rowsOf = (tensor: number) => newRows(stream, phase, tensor);
    for (const [input, rows] of read) this.#await(input, rows + rowsOf(input));
    this.#done[link] = elementAt(this.#done, link) + 1;
    this.steps.push({ link, phase });
    for (const [input, rows] of read) read.set(input, rows + rowsOf(input));
    for (const output of stream.space.boundary.outputs) {
      this.#made.set(output, valueFor(this.#made, output) + rowsOf(output));
      this.#count(output);
    }
    return true;
  }

  /** Runs the link that makes a tensor until it has that many rows. A tensor without space is there after one step. */
  #await(tensor: number, rows: number): void {
    const maker = valueFor(this.#maker, tensor);
    const hasSpace = elementAt(this.#links, maker).stream.space.scales.has(tensor);
    const isThere = () =>
      hasSpace ? valueFor(this.#made, tensor) >= rows : elementAt(this.#done, maker) > 0;
    while (!isThere() && this.#step(maker));
  }

  /** Notes how many rows of a tensor wait for its slowest reader. */
  #count(tensor: number): void {
    const rowsRead = this.#read.map((read) => read.get(tensor)).filter((rows) => rows !== undefined);
    if (rowsRead.length === 0) return;
    const waiting = valueFor(this.#made, tensor) - Math.min(...rowsRead);
    this.most.set(tensor, Math.max(this.most.get(tensor) ?? 0, waiting));
  }
}

/** Returns the rows of a tensor that are new in a step. A tensor without space has none. */
function newRows({ rows }: StreamLink['stream'], phase: Phase, tensor: number): number {
  return rows[phase].get(tensor) ?? 0;
}
