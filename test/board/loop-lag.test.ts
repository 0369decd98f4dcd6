import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoopLag } from '../../agent/board/loop-lag.js';

test('LoopLag counts a loop as good while ticks come in time', () => {
  const lag = new LoopLag(1000, 0);
  for (const at of [1000, 2100, 3050]) lag.tick(at);
  assert.equal(lag.faultAt(3050), undefined);
});

test('LoopLag names a loop that stood still until it was good for a while', () => {
  const lag = new LoopLag(1000, 0);
  lag.tick(8000);
  assert.equal(lag.faultAt(8000), 'the event loop stood still for 7.0 s');
  for (let at = 9000; at <= 18_000; at += 1000) lag.tick(at);
  assert.equal(lag.faultAt(18_000), undefined);
});
