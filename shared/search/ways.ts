/** A way leads from one cut to a later one, with full maps at both. It is one segment of a plan. */

import type { Chain } from './chains.js';
import { chainOf, chainsFrom } from './chains.js';
import type { RangeOption } from './range-option.js';
import type { RangeTable } from './range-table.js';
import type { TradeOff } from './trade-off.js';
import { withoutBeaten } from './trade-off.js';
import type { Work } from './work.js';

/** One segment: an option of the range between two cuts, or a chain of linked streams. */
export interface Way extends TradeOff {
  /** Place of the later cut. */
  readonly end: number;
  /** Bytes while it runs, with all maps around it, but without sessions and weights. */
  readonly needBytes: number;
  readonly weightsBytes: number;
  /** Options in the order of their ranges. Each is a session of its own, and feeds the next. */
  readonly options: readonly RangeOption[];
}

/** Lists the ways from a cut by where they end. Ways that another one to the same cut beats are left out. */
export function waysFrom(table: RangeTable, start: number, work: Work): readonly Way[] {
  const single = table.movesFrom(start).map((move) => chainOf(table, start, move));
  const linked = chainsFrom(table, start, work).filter(({ before }) => before !== undefined);
  const ways = [...single, ...linked]
    .map((chain) => wayOf(table, start, chain))
    .filter(({ needBytes }) => needBytes <= table.mostBytes);
  return table.cuts.flatMap((_, at) => withoutBeaten(ways.filter(({ end }) => end === at)));
}

function wayOf(table: RangeTable, start: number, chain: Chain): Way {
  const { latencyMs, heldBytes, stepBytes, move, before } = chain;
  const { end } = move;
  const leftBytes = before === undefined ? move.leftBytes : table.leftBytes(start, end);
  const needBytes = heldBytes + stepBytes + leftBytes;
  return { end, latencyMs, needBytes, weightsBytes: table.weightsOf(start, end), options: optionsOf(chain) };
}

function optionsOf({ move, before }: Chain): readonly RangeOption[] {
  return before === undefined ? [move] : [...optionsOf(before), move];
}
