/**
 * The notation writes a plan in one line, such as `5x5 | 8 | 1x2:stream4`, `stream4 > 8 > stream4` or `whole`.
 *
 * Modes stand between cuts. The number of a cut is the first layer after it: a source layer for Darknet models, a
 * node for ONNX. `|` cuts with a full map between, and `>` hands rows from stream to stream.
 *
 * Law: parsePlan(formatPlan(p)) = p.
 */

import { elementAt } from '../graph/index.js';
import type { Mode } from '../tile/index.js';
import { formatMode, parseMode } from '../tile/index.js';

/** A plan as it is written: modes between cuts. */
export interface PlanNotation {
  readonly modes: readonly Mode[];
  /** First layer of each mode after the first. They increase, and are one fewer than the modes. */
  readonly cuts: readonly number[];
  /** Cuts that hand rows from stream to stream. There are none if it is absent. */
  readonly links?: readonly number[];
}

/** Prints a plan. */
export function formatPlan({ modes, cuts, links = [] }: PlanNotation): string {
  return modes.map(formatMode).reduce((text, mode, at) => {
    const cut = elementAt(cuts, at - 1);
    const mark = links.includes(cut) ? '>' : '|';
    return `${text} ${mark} ${cut} ${mark} ${mode}`;
  });
}

/** Reads what `formatPlan` prints. @throws {SyntaxError} naming the part that can't be read. */
export function parsePlan(text: string): PlanNotation {
  const parts = text.split(/[|>]/).map((part) => part.trim());
  const marks = [...text].filter((letter) => letter === '|' || letter === '>');
  const modes = parts.filter((_, at) => at % 2 === 0).map(parseMode);
  const cuts = parts.filter((_, at) => at % 2 === 1).map((part) => parseCut(part, text));
  if (modes.length !== cuts.length + 1) {
    throw new SyntaxError(
      `Cannot parse plan "${text}": it ends in a cut, expected MODE | LAYER | MODE ... or MODE > LAYER > MODE ...`,
    );
  }
  const misplaced = cuts.findIndex((cut, at) => cut <= (cuts[at - 1] ?? 0));
  if (misplaced >= 0) {
    const before = cuts[misplaced - 1];
    const expected = before === undefined ? 'a layer after the first' : `a layer after ${before}`;
    throw new SyntaxError(`Cannot parse plan "${text}": cut ${cuts[misplaced]}, expected ${expected}`);
  }
  const links = cuts.filter((cut, at) => isLink(text, { cut, marks: marks.slice(2 * at, 2 * at + 2) }));
  const unlinked = links.find((cut) => !joinsStreams(modes, cuts.indexOf(cut)));
  if (unlinked !== undefined) {
    throw new SyntaxError(
      `Cannot parse plan "${text}": > ${unlinked} >, expected ${linkable(modes, cuts.indexOf(unlinked))}`,
    );
  }
  return links.length === 0 ? { modes, cuts } : { modes, cuts, links };
}

/** Whether a cut stands between `>`. */
function isLink(text: string, { cut, marks }: { cut: number; marks: readonly string[] }): boolean {
  if (marks[0] !== marks[1])
    throw new SyntaxError(`Cannot parse plan "${text}": cut ${cut}, expected | ${cut} | or > ${cut} >`);
  return marks[0] === '>';
}

function joinsStreams(modes: readonly Mode[], cutAt: number): boolean {
  return modes[cutAt]?.kind === 'stream' && modes[cutAt + 1]?.kind === 'stream';
}

/** Says which modes may stand next to `>`. Streamed tiles may not, since no row is whole before the last tile. */
function linkable(modes: readonly Mode[], cutAt: number): string {
  const isTiled = modes.slice(cutAt, cutAt + 2).some(({ kind }) => kind === 'streamed-tiles');
  return isTiled
    ? 'a stream of whole rows, such as stream4, on either side: streamed tiles are cut by |'
    : 'a stream on either side';
}

function parseCut(part: string, text: string): number {
  const cut = Number(part);
  if (!/^\d+$/.test(part) || !Number.isSafeInteger(cut)) {
    throw new SyntaxError(`Cannot parse plan "${text}": cut "${part}", expected a layer number`);
  }
  return cut;
}
