/**
 * Plans in one line: modes between cuts, such as `5x5 | 8 | 1x2:stream4`, `stream4 > 8 > stream4` or `whole`. A number
 * is the first layer after the cut (source layer for Darknet models, node for ONNX). `|` cuts with a full map
 * between, `>` hands rows from stream to stream.
 *
 * Law: parsePlan(formatPlan(p)) = p.
 */

import type { Mode } from '../tile/index.js';
import { formatMode, parseMode } from '../tile/index.js';

export interface PlanNotation {
  readonly modes: readonly Mode[];
  /** First layer of each mode after the first: one fewer than modes, increasing. */
  readonly cuts: readonly number[];
  /** Those of the cuts that hand rows from stream to stream; none if absent. */
  readonly links?: readonly number[];
}

export function formatPlan({ modes, cuts, links = [] }: PlanNotation): string {
  const [first, ...rest] = modes.map(formatMode);
  return rest.reduce((text, mode, at) => {
    const cut = cuts[at] ?? 0;
    const mark = links.includes(cut) ? '>' : '|';
    return `${text} ${mark} ${cut} ${mark} ${mode}`;
  }, first ?? '');
}

/** @throws {SyntaxError} naming the part that can't be read. */
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

/** Streamed tiles come one after the other: no row of the second is there before all of the first are. */
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
