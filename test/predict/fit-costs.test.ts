import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CostSample } from '../../shared/predict/fit-costs.js';
import type { WorkAmounts } from '../../shared/predict/index.js';
import {
  BUILT_IN_PROFILE,
  costsFor,
  emptyWork,
  fitCosts,
  latencyOf,
  WORK_KINDS,
} from '../../shared/predict/index.js';

type Kind = (typeof WORK_KINDS)[number];

const PRIOR = costsFor(BUILT_IN_PROFILE, { level: 'extended', threads: 1 });

/** Speeds much slower and much faster than the machine of the prior. */
const speed = fc.double({ min: 0.1, max: 50, noNaN: true });

/** Milliseconds that one kind takes on the machine of the prior. */
const share = fc.double({ min: 0.1, max: 100, noNaN: true });

test('fitCosts() recovers the prior scaled to the device when the device is as the prior but for its speed', () => {
  const works = fc.array(workOf(fc.oneof(fc.constant(0), share)), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(speed, works, (factor, drawn) => {
      const costs = scaled(PRIOR, () => factor);
      const some = drawn.map(withStep);
      assertNear(fitCosts(samplesOf(some, costs), PRIOR), costs, 1e-6);
    }),
  );
});

test('fitCosts() recovers costs of a device that is unlike the prior from samples that each kind rules in turn', () => {
  const factors = fc.tuple(...WORK_KINDS.map(() => fc.double({ min: 0.7, max: 1.5, noNaN: true })));
  const parts = fc.array(workOf(fc.double({ min: 0, max: 0.5, noNaN: true })), {
    minLength: 10 * WORK_KINDS.length,
    maxLength: 10 * WORK_KINDS.length,
  });
  fc.assert(
    fc.property(speed, factors, parts, (factor, byKind, works) => {
      const costs = scaled(PRIOR, (kind) => factor * (byKind[WORK_KINDS.indexOf(kind)] ?? 1));
      const ruled = works.map((work, at) => {
        const kind = WORK_KINDS[at % WORK_KINDS.length] ?? 'steps';
        return { ...work, [kind]: work[kind] + amountOf(kind, 20) };
      });
      // The rest is the pull to the prior.
      assertNear(fitCosts(samplesOf(ruled, costs), PRIOR), costs, 0.1);
    }),
    { numRuns: 30 },
  );
});

test('fitCosts() leaves kinds that no sample has at the prior, scaled by the median of the samples', () => {
  const known = fc.subarray([...WORK_KINDS], { minLength: 1, maxLength: WORK_KINDS.length - 1 });
  const latency = fc.double({ min: 0.01, max: 1e4, noNaN: true });
  const samples = fc.array(fc.tuple(workOf(share), latency), { minLength: 1, maxLength: 15 });
  fc.assert(
    fc.property(known, samples, (kinds, drawn) => {
      const some = drawn.map(([work, latencyMs]) => ({ work: only(work, kinds), latencyMs }));
      const ratios = some
        .map(({ work, latencyMs }) => latencyMs / latencyOf(work, PRIOR))
        .sort((a, b) => a - b);
      const middle = ratios[Math.floor(ratios.length / 2)] ?? 0;
      const fitted = fitCosts(some, PRIOR);
      for (const kind of WORK_KINDS.filter((one) => !kinds.includes(one)))
        assert.ok(Math.abs(fitted[kind] / (middle * PRIOR[kind]) - 1) < 1e-9, kind);
    }),
  );
});

test('fitCosts() gives no cost below zero, whatever was measured', () => {
  const latency = fc.double({ min: 1e-3, max: 1e5, noNaN: true });
  const samples = fc.array(fc.tuple(workOf(fc.oneof(fc.constant(0), share)), latency), {
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(
    fc.property(samples, (drawn) => {
      const fitted = fitCosts(
        drawn.map(([work, latencyMs]) => ({ work: withStep(work), latencyMs })),
        PRIOR,
      );
      for (const kind of WORK_KINDS) assert.ok(Number.isFinite(fitted[kind]) && fitted[kind] >= 0, kind);
    }),
  );
});

test('fitCosts() gives a kind no cost when runs are the faster the more they have of it', () => {
  const one = { ...emptyWork(), calls: 1000 };
  const both = { ...one, movedBytes: amountOf('movedBytes', 10) };
  const samples = [one, one, both, both].map((work) => ({ work, latencyMs: work === one ? 5 : 2 }));
  assert.equal(fitCosts(samples, PRIOR).movedBytes, 0);
});

test('fitCosts() refuses to fit without samples', () => {
  assert.throws(() => fitCosts([], PRIOR), { name: 'RangeError', message: /there are no samples/ });
});

/** Amounts that take so many milliseconds of the machine of the prior, by kind. */
function workOf(milliseconds: fc.Arbitrary<number>): fc.Arbitrary<WorkAmounts> {
  return fc
    .tuple(...WORK_KINDS.map(() => milliseconds))
    .map((values) => byKind((kind) => amountOf(kind, values[WORK_KINDS.indexOf(kind)] ?? 0)));
}

/** Adds a step, since there is no run without one. */
function withStep(work: WorkAmounts): WorkAmounts {
  return { ...work, steps: work.steps + 1 };
}

function amountOf(kind: Kind, milliseconds: number): number {
  return (milliseconds * 1e6) / PRIOR[kind];
}

function byKind(read: (kind: Kind) => number): WorkAmounts {
  return Object.fromEntries(WORK_KINDS.map((kind) => [kind, read(kind)])) as Record<Kind, number>;
}

function scaled(costs: WorkAmounts, factorOf: (kind: Kind) => number): WorkAmounts {
  return byKind((kind) => costs[kind] * factorOf(kind));
}

function only(work: WorkAmounts, kinds: readonly Kind[]): WorkAmounts {
  return byKind((kind) => (kinds.includes(kind) ? work[kind] : 0));
}

function samplesOf(works: readonly WorkAmounts[], costs: WorkAmounts): readonly CostSample[] {
  return works.map((work) => ({ work, latencyMs: latencyOf(work, costs) }));
}

function assertNear(actual: WorkAmounts, expected: WorkAmounts, ratio: number): void {
  for (const kind of WORK_KINDS) {
    const error = Math.abs(actual[kind] / expected[kind] - 1);
    assert.ok(error <= ratio, `${kind}: ${actual[kind]}, expected ${expected[kind]}`);
  }
}
