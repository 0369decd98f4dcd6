/** The bound on deliveries, over an emitter that delivers when the test says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Done, Emitter, Message } from '../../../agent/serve/broker/broker-deliveries.js';
import { boundDeliveries } from '../../../agent/serve/broker/broker-deliveries.js';

function openEmitter() {
  const waiting: Done[] = [];
  const topics: string[] = [];
  const lost: string[] = [];
  const emitter: Emitter = {
    emit: ({ topic }: Message, done: Done = () => undefined) => {
      topics.push(topic);
      waiting.push(done);
    },
  };
  boundDeliveries(emitter, {
    maxMessages: 3,
    maxBytes: 100,
    isAgent: (clientId) => clientId === 'agent',
    onLost: (reason) => lost.push(reason),
  });
  const publish = async (clientId: string | undefined, bytes = 1, topic = 't') => {
    const state: { done: boolean; error?: string } = { done: false };
    const message = { topic, payload: new Uint8Array(bytes) };
    emitter.emit(clientId === undefined ? message : { ...message, clientId }, (error) => {
      state.done = true;
      if (error) state.error = error.message;
    });
    await nextTurn();
    return state;
  };
  const deliver = async () => {
    waiting.shift()?.();
    await nextTurn();
  };
  return { publish, deliver, topics, lost };
}

test('boundDeliveries() lets a client wait for its readers, and refuses what is too much', async () => {
  const { publish, deliver } = openEmitter();
  const first = await publish('a');
  await publish('a');
  await publish('b');
  assert.equal(first.done, false);
  const text = 'no room to publish: 3 messages of 3 bytes wait for their readers';
  assert.deepEqual(await publish('b'), { done: true, error: text });
  await deliver();
  assert.deepEqual(first, { done: true });
  assert.deepEqual(await publish('b'), { done: false });
});

test('boundDeliveries() counts bytes as well', async () => {
  const { publish } = openEmitter();
  await publish('a', 60);
  assert.match((await publish('a', 41)).error ?? '', /^no room/);
  assert.deepEqual(await publish('a', 40), { done: false });
});

test('boundDeliveries() keeps room for the agent, which waits for nobody and loses what is too much', async () => {
  const { publish, topics, lost } = openEmitter();
  for (let at = 0; at < 3; at += 1) await publish('a');
  for (let at = 0; at < 4; at += 1) assert.deepEqual(await publish('agent'), { done: true });
  assert.equal(topics.length, 6);
  assert.deepEqual(lost, ['no room to publish: 6 messages of 6 bytes wait for their readers']);
});

test('boundDeliveries() drops the news of clients, which a client could make without end, not the heartbeat', async () => {
  const { publish, topics } = openEmitter();
  await publish(undefined, 1, '$SYS/id/new/subscribes');
  await publish(undefined, 1, '$SYS/id/heartbeat');
  assert.deepEqual(topics, ['$SYS/id/heartbeat']);
});
