import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shrinkToGrey } from '../../agent/camera/grey-picture.js';
import type { MotionOptions } from '../../agent/camera/motion-gate.js';
import { HOLD_MS, MotionGate } from '../../agent/camera/motion-gate.js';
import type { ImageSource } from '../../agent/engine/wire/protocol.js';

const SIZE = { width: 320, height: 240 };

interface Scene {
  /** Brightness of the whole picture. */
  readonly light?: number;
  /** Left edge of a bright square, by pixels. */
  readonly square?: number;
  readonly noise?: number;
}

function scene({ light = 90, square, noise = 0 }: Scene, { width, height } = SIZE): ImageSource {
  const bytes = new Uint8Array(width * height * 3);
  for (let at = 0; at < bytes.length; at += 1) {
    const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)];
    const isSquare = square !== undefined && x >= square && x < square + 40 && y >= 100 && y < 140;
    // A hash of the position: the same noise in each run.
    const grain = noise * (((at * 7919 + light * 31) % 101) / 50 - 1);
    bytes[at] = Math.min(255, Math.max(0, light + (isSquare ? 100 : 0) + grain));
  }
  return { kind: 'pixels', name: 'scene', width, height, bytes };
}

const OPTIONS: MotionOptions = { threshold: 25, area: 0.005, mask: [] };

/** A gate that has seen an empty scene, and that time has closed. */
function closedGate(changes: Partial<MotionOptions> = {}) {
  const gate = new MotionGate({ ...OPTIONS, ...changes });
  assert.ok(gate.look(scene({}), 0), 'the first frame may show anything');
  assert.ok(!gate.look(scene({}), HOLD_MS));
  return gate;
}

test('shrinkToGrey() gives the brightness of parts of the picture, in 64 columns at most', () => {
  const sizes = fc.record({
    width: fc.integer({ min: 2, max: 300 }),
    height: fc.integer({ min: 2, max: 300 }),
  });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 0, max: 255 }), ({ width, height }, grey) => {
      const bytes = new Uint8Array(width * height * 3).fill(grey);
      const { cols, rows, cells } = shrinkToGrey({ width, height, bytes });
      assert.equal(cols, Math.min(64, width));
      assert.ok(rows >= 1 && rows <= height && cells.length === rows * cols);
      assert.ok(cells.every((cell) => Math.abs(cell - grey) < 1e-3));
    }),
    { numRuns: 50 },
  );
});

test('MotionGate is closed while nothing moves, and open for some seconds after something does', () => {
  const gate = closedGate();
  assert.ok(gate.look(scene({ square: 60 }), HOLD_MS + 1000));
  assert.ok(gate.look(scene({}), HOLD_MS + 1500), 'it has gone');
  assert.ok(gate.look(scene({}), 2 * HOLD_MS + 999));
  assert.ok(!gate.look(scene({}), 2 * HOLD_MS + 1000));
});

test('MotionGate opens neither for noise nor for light that changes everywhere', () => {
  const gate = closedGate();
  for (const [second, light] of [90, 120, 60, 100, 90].entries())
    assert.ok(!gate.look(scene({ light, noise: 20 }), HOLD_MS + 1000 * second), `light ${light}`);
});

test('MotionGate opens for as much of the picture as it is told', () => {
  // The square is 2 % of the picture.
  for (const [area, isOpen] of [
    [0.015, true],
    [0.03, false],
  ] as const)
    assert.equal(closedGate({ area }).look(scene({ square: 60 }), HOLD_MS + 1000), isOpen);
});

test('MotionGate leaves out what is masked', () => {
  const left = [
    { x: 0, y: 0 },
    { x: 0.5, y: 0 },
    { x: 0.5, y: 1 },
    { x: 0, y: 1 },
  ];
  const gate = closedGate({ mask: [left] });
  assert.ok(!gate.look(scene({ square: 60 }), HOLD_MS + 1000));
  assert.ok(gate.look(scene({ square: 240 }), HOLD_MS + 2000));
});

test('MotionGate gets used to what stays where it is', () => {
  const gate = closedGate();
  let nowMs = HOLD_MS;
  for (let frame = 0; frame < 30; frame += 1) {
    nowMs += 1000;
    gate.look(scene({ square: 60 }), nowMs);
  }
  assert.ok(!gate.look(scene({ square: 60 }), nowMs + HOLD_MS));
});

test('MotionGate opens for a picture of another size, and for all that it would have to decode', () => {
  const gate = closedGate();
  assert.ok(gate.look(scene({}, { width: 200, height: 240 }), HOLD_MS + 1000));
  assert.ok(gate.look({ kind: 'file', path: 'a.jpg' }, 10 * HOLD_MS));
  assert.ok(gate.look({ kind: 'bytes', name: 'a', bytes: new Uint8Array(1) }, 10 * HOLD_MS));
});
