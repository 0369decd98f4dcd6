import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Box } from '../../agent/decode/detection.js';
import { BoxFilter, ComponentFilter } from '../../agent/track/kalman.js';
import { MatrixFilter } from './matrix-filter.js';

/** Noise of a centre in the code of SORT. */
const CENTER = { measured: 1, step: 1, velocityStep: 0.01, first: 10, firstVelocity: 10_000 };

test('ComponentFilter gives what a computation by hand gives', () => {
  const filter = new ComponentFilter(0, CENTER);
  filter.predict(1);
  // Variances are then 10 + 10000 + 1 of the value, 10000 of both, and the gains 10011/10012 and 10000/10012.
  filter.correct(4);
  assert.ok(Math.abs(filter.value - (4 * 10_011) / 10_012) < 1e-12);
  assert.ok(Math.abs(filter.velocity - (4 * 10_000) / 10_012) < 1e-12);
  const [value, velocity] = [filter.value, filter.velocity];
  filter.predict(1);
  assert.equal(filter.value, value + velocity);
  // Now 0.9999 + 2 * 0.9988 + 12.0 + 1 = 15.99..., so that the value takes 16/17 of a surprise.
  filter.correct(filter.value + 1);
  assert.ok(Math.abs(filter.value - (value + velocity) - 0.9411) < 1e-3, String(filter.value));
});

test('ComponentFilter that saw a steady motion expects it to go on, over gaps, too', () => {
  const filter = new ComponentFilter(0, CENTER);
  for (let step = 1; step <= 20; step += 1) {
    filter.predict(1);
    filter.correct(3 * step);
  }
  filter.predict(4);
  assert.ok(Math.abs(filter.value - 3 * 24) < 0.05, String(filter.value));
});

const boxes = fc.record({
  centerX: fc.double({ min: 0, max: 1, noNaN: true }),
  centerY: fc.double({ min: 0, max: 1, noNaN: true }),
  width: fc.double({ min: 0.1, max: 1, noNaN: true }),
  height: fc.double({ min: 0.1, max: 1, noNaN: true }),
});

test('BoxFilter gives the boxes of the 7x7 filter of the paper', () => {
  const frames = fc.array(fc.option(boxes, { nil: undefined }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(boxes, frames, (first, later) => {
      const [filter, oracle] = [new BoxFilter(first), new MatrixFilter(first)];
      for (const seen of later) {
        filter.predict(1);
        oracle.predict();
        if (seen !== undefined) {
          filter.correct(seen);
          oracle.correct(seen);
        }
        assertNear(filter.box, oracle.box);
      }
    }),
  );
});

test('BoxFilter keeps a box that shrinks above no size', () => {
  const filter = new BoxFilter({ centerX: 0.5, centerY: 0.5, width: 0.4, height: 0.4 });
  filter.predict(1);
  filter.correct({ centerX: 0.5, centerY: 0.5, width: 0.1, height: 0.1 });
  for (let step = 0; step < 10; step += 1) filter.predict(1);
  assert.ok(filter.box.width > 0 && filter.box.height > 0);
});

function assertNear(box: Box, expected: Box): void {
  for (const key of ['centerX', 'centerY', 'width', 'height'] as const) {
    const [found, wanted] = [box[key], expected[key]];
    assert.ok(Math.abs(found - wanted) < 1e-6 * Math.max(1, wanted), `${key}: ${found}, expected ${wanted}`);
  }
}
