import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Corner } from '../../agent/decode/detection.js';
import { outlineOf } from '../../agent/decode/mask-outline.js';

test('outlineOf() is the rectangle of a rectangle', () => {
  assert.equal(shown('....', '.##.', '.##.', '....'), '3,1 3,3 1,3 1,1');
  assert.equal(shown('#'), '1,0 1,1 0,1 0,0');
  assert.equal(shown('##', '##'), '2,0 2,2 0,2 0,0');
});

test('outlineOf() is empty where no cell is set', () => {
  assert.equal(shown('..', '..'), '');
  assert.deepEqual(outlineOf({ rows: 0, cols: 0, cells: new Uint8Array() }), []);
});

test('outlineOf() takes the largest part, and leaves its holes out', () => {
  assert.equal(shown('#.###', '..#.#', '#.###'), '5,0 5,3 2,3 2,0');
});

test('outlineOf() keeps the corners of an L', () => {
  assert.equal(shown('##...', '##...', '##...', '#####', '#####'), '2,0 2,3 5,3 5,5 0,5 0,0');
});

test('outlineOf() takes cells that touch at a corner for two parts', () => {
  assert.equal(shown('#.', '.#'), '1,0 1,1 0,1 0,0');
});

test('outlineOf() of a disc has about its area, and few corners', () => {
  const side = 80;
  const cells = new Uint8Array(side * side);
  for (let at = 0; at < cells.length; at += 1) {
    const [x, y] = [(at % side) + 0.5 - side / 2, Math.floor(at / side) + 0.5 - side / 2];
    cells[at] = Math.hypot(x, y) < 35 ? 1 : 0;
  }
  const outline = outlineOf({ rows: side, cols: side, cells });
  const area = cells.reduce((sum, cell) => sum + cell, 0);
  assert.ok(Math.abs(areaOf(outline) / area - 1) < 0.03, `${areaOf(outline)} of ${area}`);
  assert.ok(outline.length < 60, `${outline.length} corners`);
});

test('outlineOf() ends within the mask, whatever the mask is', () => {
  const masks = fc
    .integer({ min: 1, max: 9 })
    .chain((cols) =>
      fc.array(fc.array(fc.boolean(), { minLength: cols, maxLength: cols }), { minLength: 1, maxLength: 9 }),
    );
  fc.assert(
    fc.property(masks, (rows) => {
      const cols = rows[0]?.length ?? 0;
      const cells = Uint8Array.from(rows.flat(), Number);
      const outline = outlineOf({ rows: rows.length, cols, cells });
      assert.equal(outline.length > 0, cells.includes(1));
      for (const { x, y } of outline) assert.ok(x >= 0 && x <= cols && y >= 0 && y <= rows.length);
    }),
  );
});

function shown(...rows: readonly string[]): string {
  const cells = Uint8Array.from([...rows.join('')], (sign) => (sign === '#' ? 1 : 0));
  return outlineOf({ rows: rows.length, cols: rows[0]?.length ?? 0, cells })
    .map(({ x, y }) => `${x},${y}`)
    .join(' ');
}

function areaOf(corners: readonly Corner[]): number {
  return corners.reduce((sum, { x, y }, at) => {
    const next = corners[(at + 1) % corners.length] ?? { x, y };
    return sum + (x * next.y - next.x * y) / 2;
  }, 0);
}
