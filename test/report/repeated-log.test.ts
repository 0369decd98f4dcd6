import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { RepeatedLog } from '../../agent/report/repeated-log.js';

test('RepeatedLog logs at once, then once a minute with a count, for as long as it goes on', (context) => {
  const { log, lines } = setUp(context);
  for (const frame of [1, 2, 3]) log.note({ error: `frame ${frame} broken` }, 'frame failed');
  assert.deepEqual(lines, ['frame failed {"error":"frame 1 broken"}']);
  context.mock.timers.tick(60_000);
  assert.deepEqual(lines.slice(1), ['frame failed {"error":"frame 3 broken","times":2}']);
  log.note({ error: 'frame 4 broken' }, 'frame failed');
  context.mock.timers.tick(59_999);
  assert.equal(lines.length, 2);
  context.mock.timers.tick(1);
  assert.deepEqual(lines.slice(2), ['frame failed {"error":"frame 4 broken","times":1}']);
});

test('RepeatedLog logs at once again what was silent for an interval', (context) => {
  const { log, lines } = setUp(context);
  log.note({}, 'a');
  context.mock.timers.tick(60_000);
  log.note({}, 'a');
  assert.deepEqual(lines, ['a {}', 'a {}']);
});

test('RepeatedLog counts other entries by themselves, and a limited number of them', (context) => {
  const { log, lines } = setUp(context);
  const nameOf = (at: number) => String.fromCodePoint(0x4e00 + at);
  for (let at = 0; at < 70; at += 1) log.note({}, nameOf(at));
  assert.equal(lines.length, 70);
  for (let at = 0; at < 70; at += 1) log.note({}, nameOf(69 - at));
  // The six oldest were forgotten; each that comes again takes the place of another.
  assert.equal(lines.filter((line) => line.startsWith(nameOf(0))).length, 2);
});

test('RepeatedLog.stop() logs what was only counted, once', (context) => {
  const { log, lines } = setUp(context);
  for (let at = 0; at < 3; at += 1) log.note({}, 'a');
  log.stop();
  log.stop();
  context.mock.timers.tick(120_000);
  assert.deepEqual(lines, ['a {}', 'a {"times":2}']);
});

function setUp(context: TestContext) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const lines: string[] = [];
  const log = new RepeatedLog({
    write: (about, message) => lines.push(`${message} ${JSON.stringify(about)}`),
  });
  return { log, lines };
}
