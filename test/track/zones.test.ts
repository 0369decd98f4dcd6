import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isInside } from '../../agent/track/polygon.js';
import { zonesOf } from '../../agent/track/zones.js';

const unit = fc.double({ min: 0, max: 1, noNaN: true });
const SQUARE = [
  { x: 0, y: 0 },
  { x: 1, y: 0 },
  { x: 1, y: 1 },
  { x: 0, y: 1 },
];
const RING = [
  { x: 0.1, y: 0.1 },
  { x: 0.9, y: 0.1 },
  { x: 0.9, y: 0.9 },
  { x: 0.7, y: 0.9 },
  { x: 0.7, y: 0.3 },
  { x: 0.1, y: 0.3 },
];

test('isInside() knows the inside of a polygon that is not convex', () => {
  for (const [x, y] of [
    [0.2, 0.2],
    [0.8, 0.5],
    [0.8, 0.85],
  ] as const)
    assert.ok(isInside(RING, { x, y }), `${x}, ${y}`);
  for (const [x, y] of [
    [0.5, 0.5],
    [0.05, 0.2],
    [0.8, 0.95],
    [0.95, 0.5],
  ] as const)
    assert.ok(!isInside(RING, { x, y }), `${x}, ${y}`);
});

test('isInside() puts each point into one of two triangles that share an edge, whatever their first corner', () => {
  const [a, b, c, d] = SQUARE;
  assert.ok(a && b && c && d);
  fc.assert(
    fc.property(unit, unit, (x, y) => {
      fc.pre(x < 1 && y < 1);
      const inside = [
        [c, a, b],
        [a, c, d],
      ].map((triangle) => isInside(triangle, { x, y }));
      assert.equal(inside.filter(Boolean).length, 1);
    }),
  );
});

test('zonesOf() goes by the bottom centre of the box, as far as it is in the picture', () => {
  const zones = [
    { name: 'top', points: SQUARE.map(({ x, y }) => ({ x, y: y / 2 })) },
    { name: 'bottom', points: SQUARE.map(({ x, y }) => ({ x, y: 0.5 + y / 2 })) },
    { name: 'all', points: SQUARE },
  ];
  const box = { centerX: 0.5, centerY: 0.4, width: 0.1, height: 0.1 };
  assert.deepEqual(zonesOf(zones, box), ['top', 'all']);
  assert.deepEqual(zonesOf(zones, { ...box, height: 0.3 }), ['bottom', 'all']);
  assert.deepEqual(zonesOf(zones, { ...box, height: 9 }), ['bottom', 'all']);
  assert.deepEqual(zonesOf(zones, { ...box, centerX: 1.2, centerY: 0.1 }), ['top', 'all']);
  assert.deepEqual(zonesOf([], box), []);
});
