import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Corner } from '../../agent/decode/detection.js';
import { smallestRectangle } from '../../agent/decode/smallest-rectangle.js';

const place = fc.record({ x: fc.integer({ min: 0, max: 12 }), y: fc.integer({ min: 0, max: 12 }) });

test('smallestRectangle() holds all points, and no angle gives a smaller one', () => {
  fc.assert(
    fc.property(fc.array(place, { minLength: 1, maxLength: 20 }), (points) => {
      const { box, angle } = smallestRectangle(points);
      const { along, across } = spansAt(points, angle);
      assert.ok(Math.abs(along - box.width) < 1e-9 && Math.abs(across - box.height) < 1e-9);
      for (const { x, y } of points) {
        const [right, down] = [x - box.centerX, y - box.centerY];
        assert.ok(Math.abs(right * Math.cos(angle) + down * Math.sin(angle)) <= box.width / 2 + 1e-9);
        assert.ok(Math.abs(down * Math.cos(angle) - right * Math.sin(angle)) <= box.height / 2 + 1e-9);
      }
      assert.ok(Math.abs(angle) <= Math.PI / 4 + 1e-9);
      for (let tried = 0; tried < Math.PI / 2; tried += 0.01) {
        const other = spansAt(points, tried);
        assert.ok(other.along * other.across >= box.width * box.height - 1e-6);
      }
    }),
  );
});

function spansAt(points: readonly Corner[], angle: number) {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const span = (places: readonly number[]) => Math.max(...places) - Math.min(...places);
  return {
    along: span(points.map(({ x, y }) => x * cos + y * sin)),
    across: span(points.map(({ x, y }) => y * cos - x * sin)),
  };
}
