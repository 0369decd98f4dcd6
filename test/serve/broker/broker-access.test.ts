/** Rights at the embedded broker, by tables and by comparison with all topics that a short filter could match. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayPublish, mayRead } from '../../../agent/serve/broker/broker-access.js';

test('mayRead() refuses what could take in the answers of another client', () => {
  for (const filter of [
    '#',
    '+/#',
    'mafat/#',
    'mafat/+/#',
    'mafat/clients/#',
    'mafat/clients/+/#',
    'mafat/clients/+/answers',
    'mafat/clients/you/#',
    'mafat/clients/you/answers',
    'mafat/clients/you/+',
    'mafat/+/+/answers',
    'mafat/+/you/answers',
    '+/clients/you/answers',
    '+/+/+/+',
    '$share/group/mafat/clients/you/#',
    '$SYS/#',
    '$SYS/+/new/clients',
  ])
    assert.equal(mayRead(filter, { base: 'mafat', client: 'me' }), false, filter);
});

test('mayRead() lets everybody read what nodes say, and the own answers', () => {
  for (const filter of [
    'mafat/node/status',
    'mafat/node/#',
    'mafat/+/health',
    'mafat/+/status',
    'mafat/+/info',
    'mafat/+/events',
    'mafat/+/+',
    'mafat/clients/+',
    'mafat/clients/me/#',
    'mafat/clients/me/answers',
    'mafat/+/me/answers',
    'other/#',
    'mafat',
  ])
    assert.equal(mayRead(filter, { base: 'mafat', client: 'me' }), true, filter);
});

test('mayRead() takes a base of several levels as it is', () => {
  const reader = { base: 'site/mafat', client: 'me' };
  for (const filter of ['site/#', 'site/+/#', 'site/mafat/#', 'site/mafat/clients/you/answers', '+/+/+/+/+'])
    assert.equal(mayRead(filter, reader), false, filter);
  for (const filter of ['site/mafat/+/health', 'site/mafat/clients/me/#', 'site/+/node/status', 'mafat/#'])
    assert.equal(mayRead(filter, reader), true, filter);
});

test('mayRead() refuses a filter exactly when it matches a topic of another client', () => {
  const levels = ['mafat', 'clients', 'me', 'you'];
  const topics = ['mafat', 'clients', 'you'].flatMap((client) =>
    [1, 2].flatMap((length) =>
      sequences(levels, length).map((tail) => ['mafat', 'clients', client, ...tail]),
    ),
  );
  for (const length of [1, 2, 3, 4, 5]) {
    for (const filter of sequences([...levels, '+', '#'], length)) {
      if (filter.slice(0, -1).includes('#')) continue;
      const reaches = topics.some((topic) => matches(filter, topic));
      const text = filter.join('/');
      assert.equal(mayRead(text, { base: 'mafat', client: 'me' }), !reaches, text);
    }
  }
});

test('mayPublish() allows requests of inferences and snapshots, and settings of cameras alone', () => {
  const allowed = (topic: string, retain = false) => mayPublish({ topic, retain }, 'mafat');
  assert.ok(allowed('mafat/node/v2/models/yolo/infer'));
  assert.ok(allowed('mafat/another/v2/models/m/infer'));
  assert.ok(allowed('mafat/node/cameras/door/snapshot/get'));
  assert.ok(allowed('mafat/node/cameras/door/set'));
  assert.ok(mayPublish({ topic: 'site/mafat/node/v2/models/m/infer', retain: false }, 'site/mafat'));
  for (const topic of [
    'mafat/node/status',
    'mafat/node/info',
    'mafat/node/cameras/door/state',
    'mafat/node/cameras/door/set/more',
    'mafat/node/cameras/set',
    'mafat/clients/cameras/door/set',
    'mafat/node/v2/models/m/infer/more',
    'mafat/node/v2/models/infer',
    'mafat/node/v2/models//infer',
    'mafat//v2/models/m/infer',
    'mafat/clients/you/answers',
    'mafat/clients/v2/models/m/infer',
    'mafat/clients/cameras/door/snapshot/get',
    'mafat/node/cameras/door/snapshot',
    'mafat/node/cameras/door/objects',
    'mafat/node/cameras/door/counts',
    'mafat/node/cameras//snapshot/get',
    'site/mafat/node/v2/models/m/infer',
    'mafats/node/v2/models/m/infer',
    'node/v2/models/m/infer',
    '$SYS/broker/new/clients',
    '',
  ])
    assert.equal(allowed(topic), false, topic);
});

test('mayPublish() refuses what is retained: it would count again at each start of the node', () => {
  for (const topic of [
    'mafat/node/v2/models/m/infer',
    'mafat/node/cameras/door/snapshot/get',
    'mafat/node/cameras/door/set',
  ])
    assert.equal(mayPublish({ topic, retain: true }, 'mafat'), false);
});

/** Whether a filter matches a topic, by the letter of MQTT 3.1.1, section 4.7. */
function matches([level, ...rest]: readonly string[], topic: readonly string[]): boolean {
  if (level === '#') return true;
  if (level === undefined || topic.length === 0) return level === undefined && topic.length === 0;
  return (level === '+' || level === topic[0]) && matches(rest, topic.slice(1));
}

function sequences(alphabet: readonly string[], length: number): readonly (readonly string[])[] {
  if (length === 0) return [[]];
  return sequences(alphabet, length - 1).flatMap((head) => alphabet.map((level) => [...head, level]));
}
