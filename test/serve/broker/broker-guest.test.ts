/** The rate of subscriptions of a connection. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Guest } from '../../../agent/serve/broker/broker-guest.js';

test('Guest.maySubscribe() allows 64 at once, then ten in a second', () => {
  const guest = new Guest(new Socket(), () => undefined);
  const allowed = (count: number, nowMs: number) =>
    Array.from({ length: count }, () => guest.maySubscribe(nowMs)).filter(Boolean).length;
  assert.equal(allowed(64, 1000), 64);
  assert.equal(guest.maySubscribe(1050), false);
  assert.equal(allowed(9, 2100), 9);
  assert.equal(allowed(64, 3_600_000), 64);
});

test('Guest counts what is promised until aedes has written it, two turns later', async () => {
  const guest = new Guest(new Socket(), () => undefined);
  guest.promise(1000);
  assert.equal(guest.unreadBytes, 1000);
  await nextTurn();
  await nextTurn();
  await nextTurn();
  assert.equal(guest.unreadBytes, 0);
});

test('Guest reports once, with its address', () => {
  const reports: string[] = [];
  const guest = new Guest(new Socket(), (_address, reason) => reports.push(reason));
  guest.report('first');
  guest.cut('second');
  assert.deepEqual(reports, ['first']);
});
