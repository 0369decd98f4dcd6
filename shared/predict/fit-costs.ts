/**
 * Costs of work from measured latencies: least squares of relative errors, no cost below zero, by coordinate descent.
 *
 * What the samples can't tell apart is left as it is in a prior, known costs of another device, which is first
 * scaled to this one's speed: each cost is drawn to it by PRIOR_WEIGHT of what all samples together weigh. The problem
 * is convex and has one solution; ROUNDS is plenty for ten kinds.
 * Source: Franc, Hlaváč, Navara, Sequential coordinate-wise algorithm for the non-negative least squares problem.
 */
import type { Work } from './device-profile.js';
import { emptyWork, latencyOf, WORK_KINDS } from './device-profile.js';

export interface CostSample {
  readonly work: Work;
  readonly latencyMs: number;
}

const ROUNDS = 1000;
const PRIOR_WEIGHT = 0.003;

/** @returns nanoseconds a unit. @throws {RangeError} without samples. */
export function fitCosts(samples: readonly CostSample[], prior: Work): Work {
  if (samples.length === 0) throw new RangeError('Cannot fit costs: there are no samples');
  const speeds = samples
    .map(({ work, latencyMs }) => latencyMs / latencyOf(work, prior))
    .sort((a, b) => a - b);
  const speed = speeds[Math.floor(speeds.length / 2)] ?? 1;
  // By kind: its part of each sample's latency, were the prior right.
  const columns = WORK_KINDS.map((kind) =>
    samples.map(({ work, latencyMs }) => (work[kind] * prior[kind] * speed) / (latencyMs * 1e6)),
  );
  const factors = solve(columns, samples.length);
  const costs = emptyWork();
  for (const [at, kind] of WORK_KINDS.entries()) costs[kind] = prior[kind] * speed * (factors[at] ?? 1);
  return costs;
}

/** Factors >= 0 near 1, by which the columns' sum is nearest to 1 in each of `count` rows. */
function solve(columns: readonly (readonly number[])[], count: number): readonly number[] {
  const pull = PRIOR_WEIGHT * count;
  const factors = columns.map(() => 1);
  const residual = Array.from({ length: count }, (_, row) =>
    columns.reduce((left, column) => left - (column[row] ?? 0), 1),
  );
  const squares = columns.map((column) => column.reduce((sum, value) => sum + value * value, pull));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [at, column] of columns.entries()) {
      const before = factors[at] ?? 1;
      const slope = column.reduce(
        (sum, value, row) => sum + value * (residual[row] ?? 0),
        pull * (1 - before),
      );
      const next = Math.max(0, before + slope / (squares[at] ?? 1));
      factors[at] = next;
      for (const [row, value] of column.entries())
        residual[row] = (residual[row] ?? 0) - (next - before) * value;
    }
  }
  return factors;
}
