import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventHub } from '../../agent/events/event-hub.js';
import type { NodeEvent } from '../../agent/events/node-event.js';

const replaced = (reason: string): NodeEvent => ({ kind: 'executor-replaced', cause: 'crashed', reason });
const reasonOf = (event: NodeEvent) => (event.kind === 'executor-replaced' ? event.reason : event.kind);

function createHub(capacity = 8) {
  const errors: string[] = [];
  const hub = new EventHub({ capacity, onError: (name, error) => errors.push(`${name}: ${error}`) });
  return { hub, errors };
}

test('EventHub hands events to all subscribers, in order, after the publisher has gone on', async () => {
  const { hub } = createHub();
  const heard: string[] = [];
  const one = hub.subscribe('one', (event) => void heard.push(`one ${reasonOf(event)}`));
  const two = hub.subscribe('two', (event) => void heard.push(`two ${reasonOf(event)}`));
  hub.publish(replaced('a'));
  hub.publish(replaced('b'));
  assert.equal(heard.length, 0);
  await Promise.all([one.drain(), two.drain()]);
  assert.deepEqual(heard.toSorted(), ['one a', 'one b', 'two a', 'two b']);
});

test('EventHub drops the oldest events of a slow subscriber, counts them, and keeps the others', async () => {
  const { hub } = createHub(2);
  const heard: string[] = [];
  const quick: string[] = [];
  let release: () => void = () => assert.fail('not held');
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = hub.subscribe('slow', async (event) => {
    await held;
    heard.push(reasonOf(event));
  });
  hub.subscribe('quick', (event) => void quick.push(reasonOf(event)));
  for (const reason of ['a', 'b', 'c', 'd', 'e']) {
    hub.publish(replaced(reason));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(quick, ['a', 'b', 'c', 'd', 'e']);
  assert.equal(hub.counts.find(({ subscriber }) => subscriber === 'slow')?.dropped, 2);
  release();
  await slow.drain();
  assert.deepEqual(heard, ['a', 'd', 'e']);
});

test('EventHub reports what a subscriber throws, and goes on', async () => {
  const { hub, errors } = createHub();
  const heard: string[] = [];
  const bad = hub.subscribe('bad', (event) => {
    if (reasonOf(event) === 'a') throw new Error('no room');
    heard.push(reasonOf(event));
  });
  hub.publish(replaced('a'));
  hub.publish(replaced('b'));
  await bad.drain();
  assert.deepEqual(errors, ['bad: Error: no room']);
  assert.deepEqual(heard, ['b']);
});

test('EventHub hands nothing to a subscriber that has ended its subscription', async () => {
  const { hub } = createHub();
  const heard: string[] = [];
  const one = hub.subscribe('one', (event) => void heard.push(reasonOf(event)));
  hub.publish(replaced('a'));
  one.end();
  hub.publish(replaced('b'));
  await one.drain();
  assert.deepEqual(heard, []);
  assert.deepEqual(hub.counts, []);
});
