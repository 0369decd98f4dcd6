/**
 * Plans in one line: modes between cuts, such as `5x5 | 8 | 2x2` or `whole`. A number is the first layer
 * after the cut (source layer for Darknet models, node for ONNX).
 *
 * Law: parsePlan(formatPlan(p)) = p.
 */
import type { Mode } from '../tile/mode.js';
import { formatMode, parseMode } from '../tile/mode.js';

export interface PlanNotation {
  readonly modes: readonly Mode[];
  /** First layer of each mode after the first: one fewer than modes, increasing. */
  readonly cuts: readonly number[];
}

export function formatPlan({ modes, cuts }: PlanNotation): string {
  return modes
    .map((mode, at) => (at === 0 ? formatMode(mode) : `${cuts[at - 1]} | ${formatMode(mode)}`))
    .join(' | ');
}

/** @throws {SyntaxError} naming the part that can't be read. */
export function parsePlan(text: string): PlanNotation {
  const parts = text.split('|').map((part) => part.trim());
  const modes = parts.filter((_, at) => at % 2 === 0).map(parseMode);
  const cuts = parts.filter((_, at) => at % 2 === 1).map((part) => parseCut(part, text));
  if (modes.length !== cuts.length + 1) {
    throw new SyntaxError(`Cannot parse plan "${text}": it ends in a cut, expected MODE | LAYER | MODE ...`);
  }
  const misplaced = cuts.findIndex((cut, at) => cut <= (cuts[at - 1] ?? 0));
  if (misplaced >= 0) {
    const before = cuts[misplaced - 1];
    const expected = before === undefined ? 'a layer after the first' : `a layer after ${before}`;
    throw new SyntaxError(`Cannot parse plan "${text}": cut ${cuts[misplaced]}, expected ${expected}`);
  }
  return { modes, cuts };
}

function parseCut(part: string, text: string): number {
  const cut = Number(part);
  if (!/^\d+$/.test(part) || !Number.isSafeInteger(cut)) {
    throw new SyntaxError(`Cannot parse plan "${text}": cut "${part}", expected a layer number`);
  }
  return cut;
}
