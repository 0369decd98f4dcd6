/** This file counts the work of a search, so that the search ends in time on any graph. */

import type { Knobs } from './knobs.js';
import { KNOBS } from './knobs.js';

/** Phases of a search, in their order. */
const PHASES = ['options', 'ways', 'labels'] as const;

/**
 * The work that a search may do. A unit is a plan or a chain that is looked at, or a node that is predicted in one
 * mode. All phases and parts have equal shares, and may also spend what earlier ones have left.
 */
export class Work {
  spent = 0;
  /** Whether something was left out because the work was spent. */
  isShort = false;
  readonly #limit: number;
  readonly #onProgress: (part: number) => void;
  #allowed = 0;

  /** @param onProgress is told how far the search is from 0 to 1. */
  constructor(limit: number, onProgress: (part: number) => void = () => undefined) {
    this.#limit = limit;
    this.#onProgress = onProgress;
  }

  /** Begins a part of a phase. @param until is the part of the phase that is done by its end, up to 1. */
  begin(phase: (typeof PHASES)[number], until: number): void {
    const part = (PHASES.indexOf(phase) + until) / PHASES.length;
    this.#allowed = this.#limit * part;
    this.#onProgress(part);
  }

  /** Spends some work. @returns false if it was more than is left. */
  spend(units: number): boolean {
    if (this.spent + units <= this.#allowed) {
      this.spent += units;
      return true;
    }
    this.isShort = true;
    return false;
  }
}

/** Returns the most work of a search for a graph of so many nodes. */
export function workFor(nodes: number, { workPerNode }: Pick<Knobs, 'workPerNode'> = KNOBS): number {
  return nodes * workPerNode;
}
