/**
 * Interval arithmetic along one axis, backwards and forwards through one operator.
 *
 * Law: for every rule and every wanted interval w, exactRows(rule, readRows(rule, w)) contains w. Backwards
 * gives the halo; forwards proves what a tile computes right, independently of how the halo was chosen.
 */
import type { AxisRule } from '../graph/index.js';

/** Rows [from, to) of a map; empty if from >= to. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

export const EMPTY: Interval = { from: 0, to: 0 };

export function isEmpty({ from, to }: Interval): boolean {
  return from >= to;
}

/** Smallest interval that contains both. */
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

/** Rows of the input map, of `rowsIn` rows, that an operator reads for the output rows `wanted`. */
export function readRows(rule: AxisRule, wanted: Interval, rowsIn: number): Interval {
  if (isEmpty(wanted)) return EMPTY;
  const first = Math.floor(wanted.from / rule.up) * rule.stride - rule.pad;
  const last = Math.floor((wanted.to - 1) / rule.up) * rule.stride - rule.pad + rule.extent;
  // A window wholly in the padding still asks for the border row: a tile without input can't run.
  const from = Math.min(Math.max(0, first), rowsIn - 1);
  let read: Interval = { from, to: Math.max(from + 1, Math.min(rowsIn, last)) };
  if (rule.mirror > 0 && first < 0) read = hull(read, { from: 0, to: Math.min(rule.mirror, rowsIn) });
  if (rule.mirror > 0 && last > rowsIn) {
    read = hull(read, { from: Math.max(0, rowsIn - rule.mirror), to: rowsIn });
  }
  return read;
}

export interface MapRows {
  readonly rowsIn: number;
  readonly rowsOut: number;
}

/**
 * Output rows that come out right when only the input rows `exact` are right. Rows beyond the borders of the
 * map are padding and always right; an artificial border of a tile is the end of `exact`.
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
