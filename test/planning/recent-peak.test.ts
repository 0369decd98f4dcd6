import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentPeak } from '../../agent/planning/recent-peak.js';

const MINUTE_MS = 60_000;

test('RecentPeak.bytes is the most of the last minute at least, and of two at most', () => {
  const peak = new RecentPeak();
  assert.equal(peak.bytes, null);
  peak.add(10, 0);
  peak.add(7, MINUTE_MS - 1);
  assert.equal(peak.bytes, 10);
  peak.add(5, MINUTE_MS);
  assert.equal(peak.bytes, 10, 'the minute before counts');
  peak.add(6, 2 * MINUTE_MS);
  assert.equal(peak.bytes, 6);
  peak.add(1, 9 * MINUTE_MS);
  assert.equal(peak.bytes, 1, 'nothing ran for long');
});
