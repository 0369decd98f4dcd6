import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Box } from '../../agent/decode/detection.js';
import { intersectionOverUnion } from '../../agent/decode/detection.js';
import { boundsOf, cornersOf, polygonOverlap } from '../../agent/decode/rotated-box.js';

test('polygonOverlap() of upright boxes equals their overlap', () => {
  fc.assert(
    fc.property(boxes, boxes, fc.constantFrom(0, 1, 2, 3), (a, b, quarters) => {
      const angle = (quarters * Math.PI) / 2;
      const turned = quarters % 2 === 0 ? b : { ...b, width: b.height, height: b.width };
      const overlap = polygonOverlap(cornersOf(a, 0), cornersOf(b, angle));
      assert.ok(Math.abs(overlap - intersectionOverUnion(a, turned)) < 1e-9);
    }),
  );
});

test('polygonOverlap() is the same when both boxes turn and when the image is stretched', () => {
  fc.assert(
    fc.property(boxes, boxes, angles, angles, (a, b, first, second) => {
      const [left, right] = [cornersOf(a, first), cornersOf(b, second)];
      const overlap = polygonOverlap(left, right);
      const turn = ({ x, y }: { x: number; y: number }) => ({ x: 0.6 * x - 0.8 * y, y: 0.8 * x + 0.6 * y });
      const stretch = ({ x, y }: { x: number; y: number }) => ({ x: 3 * x, y: y / 2 });
      for (const moved of [turn, stretch])
        assert.ok(Math.abs(polygonOverlap(left.map(moved), right.map(moved)) - overlap) < 1e-6);
      assert.ok(Math.abs(polygonOverlap(right, left) - overlap) < 1e-6);
      assert.ok(Math.abs(polygonOverlap(left, left) - 1) < 1e-6);
    }),
  );
});

test('polygonOverlap() of a square and the same turned by 45 degrees is that of an octagon', () => {
  const square = { centerX: 5, centerY: 5, width: 2, height: 2 };
  const octagon = 8 * (Math.SQRT2 - 1);
  const overlap = polygonOverlap(cornersOf(square, 0), cornersOf(square, Math.PI / 4));
  assert.ok(Math.abs(overlap - octagon / (8 - octagon)) < 1e-9);
});

test('boundsOf() holds all corners', () => {
  const box = { centerX: 4, centerY: 3, width: 2, height: 2 };
  const { width, height, ...centre } = boundsOf(cornersOf(box, Math.PI / 4));
  assert.ok(Math.abs(width - 2 * Math.SQRT2) < 1e-9 && Math.abs(height - 2 * Math.SQRT2) < 1e-9);
  assert.deepEqual([Math.round(centre.centerX), Math.round(centre.centerY)], [4, 3]);
});

const side = fc.integer({ min: 1, max: 8 });
const angles = fc.double({ min: -4, max: 4, noNaN: true });
const boxes: fc.Arbitrary<Box> = fc.record({
  centerX: fc.integer({ min: 0, max: 10 }),
  centerY: fc.integer({ min: 0, max: 10 }),
  width: side,
  height: side,
});
