import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Dispatcher, matchTopic } from '../../../agent/serve/mqtt/dispatch.js';
import { inferTopic, isTopicLevel, nodeTopics } from '../../../shared/wire/index.js';

const message = (topic: string) => ({ topic, payload: new Uint8Array() });

test('matchTopic() finds the model that inferTopic() names', () => {
  const level = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }).filter(isTopicLevel);
  fc.assert(
    fc.property(level, level, (node, model) => {
      const { infer } = nodeTopics('mafat', node);
      assert.deepEqual(matchTopic(infer, inferTopic('mafat', node, model)), [model]);
    }),
  );
});

test('matchTopic() matches no other topics', () => {
  const { infer, status } = nodeTopics('mafat', 'node');
  for (const topic of [
    'mafat/other/v2/models/m/infer',
    'mafat/node/v2/models/a/b/infer',
    'mafat/node/v2/models/infer',
    status,
  ]) {
    assert.equal(matchTopic(infer, topic), undefined, topic);
  }
});

test('Dispatcher hands a message to the first route that matches, with the levels of the wildcards', async () => {
  const heard: string[] = [];
  const route = (filter: string) => ({
    filter,
    handle: async (_: unknown, levels: readonly string[]) => void heard.push(`${filter} ${levels.join()}`),
  });
  const dispatcher = new Dispatcher({
    routes: [route('a/+/c'), route('a/+/+')],
    onDropped: (topic, reason) => assert.fail(`${topic}: ${reason}`),
  });
  for (const topic of ['a/x/c', 'a/x/y', 'b/x/y']) await dispatcher.dispatch(message(topic));
  assert.deepEqual(heard, ['a/+/c x', 'a/+/+ x,y']);
  assert.deepEqual(dispatcher.filters, ['a/+/c', 'a/+/+']);
});

test('Dispatcher reports why a handler dropped a message, and goes on', async () => {
  const dropped: string[] = [];
  const dispatcher = new Dispatcher({
    routes: [{ filter: 'a', handle: () => Promise.reject(new Error('no place for the answer')) }],
    onDropped: (topic, reason) => dropped.push(`${topic}: ${reason}`),
  });
  await dispatcher.dispatch(message('a'));
  await dispatcher.dispatch(message('a'));
  assert.deepEqual(dropped, ['a: no place for the answer', 'a: no place for the answer']);
});
