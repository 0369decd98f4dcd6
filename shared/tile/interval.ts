/**
 * This file does interval arithmetic along one axis, backwards and forwards through one operator.
 *
 * 1. Backwards, `readRows` gives the rows that wanted output rows read: the halo.
 * 2. Forwards, `exactRows` gives the output rows that come out right. It doesn't depend on how the halo was chosen.
 *
 * Law: for every rule and every wanted interval w, exactRows(rule, readRows(rule, w)) contains w.
 */
import type { AxisRule } from '../graph/index.js';

/** Rows [from, to) of a map. The interval is empty if from >= to. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

export const EMPTY: Interval = { from: 0, to: 0 };

export function isEmpty({ from, to }: Interval): boolean {
  return from >= to;
}

/** Returns the smallest interval that contains both. */
export function hull(a: Interval, b: Interval): Interval {
  if (isEmpty(a)) return b;
  if (isEmpty(b)) return a;
  return { from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) };
}

export function intersect(a: Interval, b: Interval): Interval {
  const from = Math.max(a.from, b.from);
  return { from, to: Math.max(from, Math.min(a.to, b.to)) };
}

export function contains(outer: Interval, inner: Interval): boolean {
  return isEmpty(inner) || (outer.from <= inner.from && inner.to <= outer.to);
}

/** Sizes of the full maps before and after an operator. */
export interface MapRows {
  readonly rowsIn: number;
  readonly rowsOut: number;
}

/**
 * Returns the rows that an operator needs for the output rows `wanted`: those that it reads, and those that it crops at
 * either end. It crops as many of a tile as of the map.
 */
export function readRows(rule: AxisRule, wanted: Interval, { rowsIn, rowsOut }: MapRows): Interval {
  if (isEmpty(wanted)) return EMPTY;
  const first = Math.floor(wanted.from / rule.up) * rule.stride - Math.max(0, rule.pad);
  const reach = Math.floor((wanted.to - 1) / rule.up) * rule.stride - rule.pad + rule.extent;
  const given = rowsOut - Math.floor((rowsIn - reach) / rule.stride) * rule.up;
  const last = given < wanted.to ? rowsIn - Math.floor((rowsOut - wanted.to) / rule.up) * rule.stride : reach;
  // A window wholly in the padding still asks for the border row, since a tile without input can't run.
  const from = Math.min(Math.max(0, first), rowsIn - 1);
  let read: Interval = { from, to: Math.max(from + 1, Math.min(rowsIn, last)) };
  if (rule.mirror > 0 && first < 0) read = hull(read, { from: 0, to: Math.min(rule.mirror, rowsIn) });
  if (rule.mirror > 0 && last > rowsIn) {
    read = hull(read, { from: Math.max(0, rowsIn - rule.mirror), to: rowsIn });
  }
  return read;
}

/**
 * Returns the output rows that come out right when only the input rows `exact` are right. Rows beyond the borders
 * of the map are padding and always right. An artificial border of a tile is the end of `exact`.
 */
export function exactRows(rule: AxisRule, exact: Interval, { rowsIn, rowsOut }: MapRows): Interval {
  if (isEmpty(exact)) return EMPTY;
  const mirrored = exact.to - exact.from >= Math.min(rule.mirror, rowsIn);
  const touchesStart = exact.from <= 0 && mirrored;
  const touchesEnd = exact.to >= rowsIn && mirrored;
  const firstWindow = Math.ceil((Math.max(0, exact.from) + rule.pad) / rule.stride);
  const lastWindow = Math.floor((Math.min(rowsIn, exact.to) + rule.pad - rule.extent) / rule.stride);
  const from = touchesStart ? 0 : firstWindow * rule.up;
  const to = touchesEnd ? rowsOut : (lastWindow + 1) * rule.up;
  return intersect({ from, to }, { from: 0, to: rowsOut });
}
