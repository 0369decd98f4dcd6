import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LineEnd } from '../../../agent/serve/mqtt/retry-policy.js';
import { RetryPolicy } from '../../../agent/serve/mqtt/retry-policy.js';

const FAILED: LineEnd = { kind: 'failed' };
const UNANSWERED: LineEnd = { kind: 'unanswered' };
const WRONG_VERSION: LineEnd = { kind: 'wrong-version' };

test('RetryPolicy doubles its pauses from 1 s to 30 s, each between half and one and a half of that', () => {
  for (let run = 0; run < 100; run += 1) {
    const policy = new RetryPolicy();
    for (const middle of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      const pause = policy.pauseAfter(FAILED);
      assert.ok(pause >= middle / 2 && pause <= middle * 1.5, `${pause} around ${middle}`);
    }
  }
});

test('RetryPolicy jitters the first pause, so that a fleet does not come back in step', () => {
  const pauses = Array.from({ length: 50 }, () =>
    new RetryPolicy().pauseAfter({ kind: 'lost', heldMs: 1e6 }),
  );
  assert.ok(new Set(pauses).size > 10);
});

test('RetryPolicy starts over with short pauses only after a line that held', () => {
  const policy = new RetryPolicy();
  for (let attempt = 0; attempt < 6; attempt += 1) policy.pauseAfter(FAILED);
  policy.connected();
  assert.ok(policy.pauseAfter({ kind: 'lost', heldMs: 100 }) >= 15_000);
  assert.ok(policy.pauseAfter({ kind: 'lost', heldMs: 30_000 }) <= 1500);
});

test('RetryPolicy tries 3.1.1 at once where 5 is refused by name, and does not spin where both are', () => {
  const policy = new RetryPolicy();
  assert.equal(policy.version, 5);
  assert.equal(policy.pauseAfter(WRONG_VERSION), 0);
  assert.equal(policy.version, 4);
  assert.ok(policy.pauseAfter(WRONG_VERSION) > 0);
  assert.equal(policy.version, 5);
});

test('RetryPolicy alternates the versions from the second attempt in a row without an answer', () => {
  assert.deepEqual(versionsOver(new RetryPolicy(), Array(6).fill(UNANSWERED)), [5, 5, 4, 5, 4, 5, 4]);
  const mixed = [UNANSWERED, FAILED, UNANSWERED, FAILED, UNANSWERED, UNANSWERED];
  assert.deepEqual(versionsOver(new RetryPolicy(), mixed), [5, 5, 5, 5, 5, 5, 4]);
});

test('RetryPolicy keeps the version that worked while a broker restarts behind its proxy', () => {
  const policy = new RetryPolicy();
  versionsOver(policy, [UNANSWERED, UNANSWERED]);
  assert.equal(policy.version, 4);
  policy.connected();
  const versions = versionsOver(policy, [
    { kind: 'lost', heldMs: 0 },
    ...Array(20).fill(UNANSWERED),
    UNANSWERED,
  ]);
  assert.deepEqual(versions, [...Array(21).fill(4), 5, 4], 'until it may be another broker');
});

/** The version before the first end, and after each. */
function versionsOver(policy: RetryPolicy, ends: readonly LineEnd[]): readonly number[] {
  const first = policy.version;
  const later = ends.map((end) => {
    policy.pauseAfter(end);
    return policy.version;
  });
  return [first, ...later];
}
