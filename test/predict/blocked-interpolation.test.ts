import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interpolatesOtherwise } from '../../shared/predict/index.js';
import { graphOf } from '../notation.js';

test('interpolatesOtherwise() finds interpolation without a blocked operator right before it', () => {
  const graph = graphOf('3x32x32: c16k3p1 v2 c16k3p1');
  const all = { from: 0, to: 3 };
  const cases = [
    [all, 'whole', 'all', false],
    [all, 'tiles', 'all', false],
    [all, 'stream', 'all', true],
    [all, 'streamed-tiles', 'layout', true],
    [all, 'stream', 'extended', false],
    // Cuts before and after the interpolation.
    [{ from: 1, to: 3 }, 'whole', 'all', true],
    [{ from: 1, to: 3 }, 'whole', 'extended', false],
    [{ from: 0, to: 2 }, 'whole', 'all', false],
    [{ from: 2, to: 3 }, 'stream', 'all', false],
  ] as const;
  for (const [range, mode, level, expected] of cases) {
    const label = `${JSON.stringify(range)} ${mode} at ${level}`;
    assert.equal(interpolatesOtherwise(graph, range, { mode, level }), expected, label);
  }
});

test('interpolatesOtherwise() lets rows be copied, and the image be interpolated', () => {
  const how = { mode: 'stream', level: 'all' } as const;
  assert.equal(interpolatesOtherwise(graphOf('3x32x32: c16k3p1 u2'), { from: 0, to: 2 }, how), false);
  const whole = { mode: 'whole', level: 'all' } as const;
  assert.equal(interpolatesOtherwise(graphOf('3x32x32: v2 c16k3p1'), { from: 0, to: 2 }, whole), false);
});
