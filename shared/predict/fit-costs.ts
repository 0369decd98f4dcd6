/**
 * This file fits costs of work to measured latencies, by least squares of relative errors.
 *
 * 1. Scale a prior, the known costs of another device, to this device's speed.
 * 2. Find the factor of each cost by coordinate descent. No factor goes below zero, and each is drawn to 1. So kinds of
 *    work that the samples can't tell apart keep the prior's ratio.
 *
 * The problem is convex and has one solution. Not guaranteed: that the descent has come to it after ROUNDS.
 * Source: Franc, Hlaváč, Navara, Sequential coordinate-wise algorithm for the non-negative least squares problem.
 */
import { elementAt } from '../graph/index.js';
import type { WorkAmounts } from './device-profile.js';
import { emptyWork, latencyOf, WORK_KINDS } from './device-profile.js';

/** Amounts of work, and how long they took together. */
export interface CostSample {
  readonly work: WorkAmounts;
  readonly latencyMs: number;
}

/** Rounds of the descent. Chosen, not measured: plenty for a dozen kinds of work. */
const ROUNDS = 1000;

/** Weight of the prior, as a part of the weight of all samples together. Chosen, not measured. */
const PRIOR_WEIGHT = 0.003;

/** Fits costs to samples. @returns nanoseconds a unit. @throws {RangeError} without samples. */
export function fitCosts(samples: readonly CostSample[], prior: WorkAmounts): WorkAmounts {
  if (samples.length === 0)
    throw new RangeError('Cannot fit costs: there are no samples, expected at least one');
  const speeds = samples
    .map(({ work, latencyMs }) => latencyMs / latencyOf(work, prior))
    .sort((a, b) => a - b);
  const speed = elementAt(speeds, Math.floor(speeds.length / 2));
  // A column is the part of each sample's latency that a kind would take if the prior were right.
  const columns = WORK_KINDS.map((kind) =>
    samples.map(({ work, latencyMs }) => (work[kind] * prior[kind] * speed) / (latencyMs * 1e6)),
  );
  const factors = solve(columns, samples.length);
  const costs = emptyWork();
  for (const [at, kind] of WORK_KINDS.entries()) costs[kind] = prior[kind] * speed * elementAt(factors, at);
  return costs;
}

/** Finds factors >= 0 near 1, by which the columns' sum is nearest to 1 in each of `count` rows. */
function solve(columns: readonly (readonly number[])[], count: number): readonly number[] {
  const pull = PRIOR_WEIGHT * count;
  let residual: readonly number[] = Array.from({ length: count }, (_, row) =>
    columns.reduce((left, column) => left - elementAt(column, row), 1),
  );
  const terms = columns.map((column) => ({
    column,
    square: column.reduce((sum, value) => sum + value * value, pull),
    factor: 1,
  }));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const term of terms) {
      const { column, square, factor } = term;
      const error = residual;
      const slope = column.reduce(
        (sum, value, row) => sum + value * elementAt(error, row),
        pull * (1 - factor),
      );
      term.factor = Math.max(0, factor + slope / square);
      const change = term.factor - factor;
      residual = error.map((left, row) => left - change * elementAt(column, row));
    }
  }
  return terms.map(({ factor }) => factor);
}
