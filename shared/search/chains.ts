/**
 * This file finds chains of linked streams from one cut. Rows go from link to link, and no full map stands between.
 *
 * 1. Each stream from the cut begins a chain.
 * 2. At each later cut, each stream from there continues each chain.
 * 3. At each cut the bytes are parted into buckets of equal ratio, and each bucket keeps its fastest chain.
 *
 * Not guaranteed: that the best chain is kept. The rows between two links are counted as if both were at their worst.
 */

import { elementAt } from '../graph/index.js';
import type { Move, RangeTable } from './range-table.js';
import type { Work } from './work.js';

/** A chain of linked streams up to a cut. One option of any mode is a chain, too. */
export interface Chain {
  readonly latencyMs: number;
  /** Bytes of the maps before the chain, and of all buffers of its links. */
  readonly heldBytes: number;
  /** Bytes of the largest step. */
  readonly stepBytes: number;
  /** Last link. */
  readonly move: Move;
  readonly before: Chain | undefined;
}

/** Chains that end at one cut, by bucket of their bytes. */
type Buckets = Map<number, Chain>;

/** Makes a chain of one link. */
export function chainOf(table: RangeTable, start: number, move: Move): Chain {
  const { latencyMs, stepBytes } = move;
  return {
    latencyMs,
    heldBytes: table.baseBytes(start) + move.heldBytes,
    stepBytes,
    move,
    before: undefined,
  };
}

/** Finds the chains of streams that start at a cut. */
export function chainsFrom(table: RangeTable, start: number, work: Work): readonly Chain[] {
  const buckets: Buckets[] = table.cuts.map(() => new Map());
  for (const move of linkable(table, start)) put(table, buckets, chainOf(table, start, move));
  for (let at = start + 1; at < buckets.length - 1; at += 1) continueAt(table, { start, at, buckets, work });
  return buckets.flatMap((chains) => [...chains.values()]);
}

interface Place {
  readonly start: number;
  readonly at: number;
  readonly buckets: readonly Buckets[];
  readonly work: Work;
}

/** Continues the chains that end at a cut. */
function continueAt(table: RangeTable, { start, at, buckets, work }: Place): void {
  const open = [...elementAt(buckets, at).values()];
  if (open.length === 0) return;
  for (const move of linkable(table, at)) {
    if (!work.spend(open.length)) return;
    for (const chain of open) {
      const next = link(table, start, { before: chain, move });
      if (next.heldBytes + next.stepBytes <= table.mostBytes) put(table, buckets, next);
    }
  }
}

function linkable(table: RangeTable, at: number): readonly Move[] {
  return table.movesFrom(at).filter(({ flow }) => flow !== undefined);
}

interface Link {
  readonly before: Chain;
  readonly move: Move;
}

function link(table: RangeTable, start: number, { before, move }: Link): Chain {
  return {
    latencyMs: before.latencyMs + move.latencyMs,
    heldBytes: before.heldBytes + betweenBytes(table, start, { before, move }) + move.heldBytes,
    stepBytes: Math.max(before.stepBytes, move.stepBytes),
    move,
    before,
  };
}

/**
 * Returns the bytes of the rows that wait between a chain and its next link. A tensor of an earlier link than the last
 * counts as a full map. A tensor that outlives the chain is counted when the chain ends.
 */
function betweenBytes(table: RangeTable, start: number, { before, move }: Link): number {
  const from = elementAt(table.cuts, start);
  const to = elementAt(table.cuts, move.end);
  let bytes = 0;
  for (const { tensor, takes, rows, rowBytes, maker, lastRead } of move.flow?.takes ?? []) {
    if (maker < from || lastRead >= to) continue;
    const gives = before.move.flow?.gives.get(tensor);
    bytes += rowBytes * (gives === undefined ? rows : Math.min(rows, gives + takes - 1));
  }
  return bytes;
}

/** Keeps a chain if it is the fastest in its bucket. */
function put({ knobs }: RangeTable, buckets: readonly Buckets[], chain: Chain): void {
  const chains = elementAt(buckets, chain.move.end);
  const bucket = bucketOf(chain.heldBytes + chain.stepBytes, knobs.chainRatio);
  const known = chains.get(bucket);
  if (known === undefined || chain.latencyMs < known.latencyMs) chains.set(bucket, chain);
}

/** Returns the number of the bucket that a size is in, if neighbouring buckets differ by a ratio. */
export function bucketOf(bytes: number, ratio: number): number {
  return Math.round(Math.log(bytes) / Math.log(ratio));
}
