/**
 * The order in which linked streams run, and how many rows of the maps between them must be kept.
 *
 * A step runs when the one after it in the chain asks for its rows, so that between two links no more rows
 * wait than one step of either. Links without a reader run to their end at last.
 */

import type { Graph } from '../graph/index.js';
import { boundaryOf } from '../graph/index.js';
import type { Phase, StreamLink } from './stream.js';
import { phasesOf } from './stream.js';

export interface LinkStep {
  /** Position in the list of links. */
  readonly link: number;
  readonly phase: Phase;
}

export interface LinkOrder {
  readonly steps: readonly LinkStep[];
  /** Rows of each tensor between links, and used nowhere else, that are kept at once. */
  readonly rings: ReadonlyMap<number, number>;
}

/** @param links of neighbouring ranges, in order. */
export function orderLinks(graph: Graph, links: readonly StreamLink[]): LinkOrder {
  const run = new LinkRun(links);
  for (let link = links.length - 1; link >= 0; link -= 1) run.finish(link);
  const range = { from: links[0]?.from ?? 0, to: links.at(-1)?.to ?? 0 };
  const lasting = new Set(boundaryOf(graph, range).outputs);
  return {
    steps: run.steps,
    rings: new Map([...run.most].filter(([tensor, rows]) => rows > 0 && !lasting.has(tensor))),
  };
}

class LinkRun {
  readonly steps: LinkStep[] = [];
  /** Most rows of each crossing tensor that wait at once. */
  readonly most = new Map<number, number>();
  readonly #links: readonly StreamLink[];
  readonly #phases: readonly (readonly Phase[])[];
  readonly #done: number[];
  readonly #maker = new Map<number, number>();
  readonly #made = new Map<number, number>();
  /** Rows that each link has read of a tensor. */
  readonly #read: readonly Map<number, number>[];

  constructor(links: readonly StreamLink[]) {
    this.#links = links;
    this.#phases = links.map(({ stream }) => phasesOf(stream));
    this.#done = links.map(() => 0);
    this.#read = links.map(() => new Map());
    for (const [at, { stream }] of links.entries()) {
      for (const output of stream.space.boundary.outputs) this.#maker.set(output, at);
    }
    for (const [at, link] of links.entries()) {
      for (const input of this.#inputsOf(link)) if (this.#maker.has(input)) this.#read[at]?.set(input, 0);
    }
  }

  finish(link: number): void {
    while (this.#step(link));
  }

  /** @returns false when the link has no step left. */
  #step(link: number): boolean {
    const phase = this.#phases[link]?.[this.#done[link] ?? 0];
    const { stream } = this.#links[link] ?? {};
    if (phase === undefined || stream === undefined) return false;
    const read = this.#read[link] ?? new Map<number, number>();
    for (const [input, rows] of read) this.#await(input, rows + (stream.rows[phase].get(input) ?? 0));
    this.#done[link] = (this.#done[link] ?? 0) + 1;
    this.steps.push({ link, phase });
    for (const [input, rows] of read) read.set(input, rows + (stream.rows[phase].get(input) ?? 0));
    for (const output of stream.space.boundary.outputs) {
      this.#made.set(output, (this.#made.get(output) ?? 0) + (stream.rows[phase].get(output) ?? 0));
      this.#count(output);
    }
    return true;
  }

  /** Runs the link that makes a tensor until it has that many rows; a tensor without space is there after one step. */
  #await(tensor: number, rows: number): void {
    const maker = this.#maker.get(tensor) ?? -1;
    const hasSpace = this.#links[maker]?.stream.space.scales.has(tensor) === true;
    const isThere = () => (hasSpace ? (this.#made.get(tensor) ?? 0) >= rows : (this.#done[maker] ?? 0) > 0);
    while (!isThere() && this.#step(maker));
  }

  #count(tensor: number): void {
    const readers = this.#read.filter((read) => read.has(tensor));
    if (readers.length === 0) return;
    const least = Math.min(...readers.map((read) => read.get(tensor) ?? 0));
    const waiting = (this.#made.get(tensor) ?? 0) - least;
    this.most.set(tensor, Math.max(this.most.get(tensor) ?? 0, waiting));
  }

  #inputsOf({ stream }: StreamLink): readonly number[] {
    return stream.space.boundary.inputs;
  }
}
