import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { kernelExtent, windowRule } from '../../shared/graph/axis-rule.js';
import type { Window } from '../../shared/graph/index.js';
import { windowRowsOut } from '../../shared/graph/index.js';

test('kernelExtent() counts the rows between dilated taps', () => {
  assert.equal(kernelExtent({ kernel: 1, dilation: 5 }), 1);
  assert.equal(kernelExtent({ kernel: 3, dilation: 1 }), 3);
  assert.equal(kernelExtent({ kernel: 3, dilation: 2 }), 5);
});

test('windowRowsOut() counts the windows that fit', () => {
  const plain = { kernel: 3, stride: 2, dilation: 1, padBegin: 0, padEnd: 0 };
  assert.equal(windowRowsOut(7, plain), 3);
  assert.equal(windowRowsOut(8, plain), 3);
  assert.equal(windowRowsOut(8, { ...plain, ceil: true }), 4);
  assert.equal(windowRowsOut(2, plain), 0);
});

test('windowRowsOut() drops a last window that starts in the end padding when in ceil mode', () => {
  const window = { kernel: 2, stride: 2, dilation: 1, padBegin: 0, padEnd: 1, ceil: true };
  assert.equal(windowRowsOut(4, window), 2);
  assert.equal(windowRowsOut(5, window), 3);
});

test('windowRowsOut() equals counting windows one by one', () => {
  fc.assert(
    fc.property(windows, fc.integer({ min: 1, max: 60 }), (window, rowsIn) => {
      fc.pre(rowsIn + window.padBegin + window.padEnd >= kernelExtent(window));
      assert.equal(windowRowsOut(rowsIn, window), countWindows(rowsIn, window));
    }),
    { numRuns: 2000 },
  );
});

test('windowRule() covers the rows that each window reads', () => {
  fc.assert(
    fc.property(windows, fc.nat(20), (window, rowOut) => {
      const { up, stride, pad, extent } = windowRule(window);
      const from = Math.floor(rowOut / up) * stride - pad;
      const taps = tapsOf(window, rowOut);
      assert.deepEqual([from, from + extent - 1], [Math.min(...taps), Math.max(...taps)]);
    }),
  );
});

/** Random windows. ONNX requires pads that are smaller than the window. */
const windows: fc.Arbitrary<Window> = fc
  .record({
    kernel: fc.integer({ min: 1, max: 7 }),
    stride: fc.integer({ min: 1, max: 4 }),
    dilation: fc.integer({ min: 1, max: 3 }),
    begin: fc.nat(99),
    end: fc.nat(99),
    ceil: fc.boolean(),
  })
  .map(({ begin, end, ...window }) => ({
    ...window,
    padBegin: begin % window.kernel,
    padEnd: end % window.kernel,
  }));

/** Rows that one window touches, in coordinates of the map. Rows of the padding are outside the map. */
function tapsOf({ kernel, stride, dilation, padBegin }: Window, rowOut: number): readonly number[] {
  return Array.from({ length: kernel }, (_, tap) => rowOut * stride - padBegin + tap * dilation);
}

/** Counts windows by placing them. In ceil mode the last may reach past the end but not start in the end padding. */
function countWindows(rowsIn: number, window: Window): number {
  const end = rowsIn + window.padEnd;
  let count = 0;
  for (let reached = Number.NEGATIVE_INFINITY; ; count += 1) {
    const taps = tapsOf(window, count);
    const [first, last] = [Math.min(...taps), Math.max(...taps)];
    const fits = last < end;
    const isPartial = window.ceil === true && reached < end - 1 && first < rowsIn;
    if (!fits && !isPartial) return count;
    reached = last;
  }
}
