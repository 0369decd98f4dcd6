import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  inferTopic,
  isReplyTopic,
  isTopicLevel,
  modelOfInferTopic,
  nodeTopics,
} from '../../shared/wire/index.js';

test('modelOfInferTopic() finds the model that inferTopic() names', () => {
  const level = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }).filter(isTopicLevel);
  fc.assert(
    fc.property(level, level, (node, model) => {
      assert.equal(modelOfInferTopic('mafat', node, inferTopic('mafat', node, model)), model);
    }),
  );
});

test('modelOfInferTopic() knows no other topics', () => {
  for (const topic of [
    'mafat/other/v2/models/m/infer',
    'mafat/node/v2/models//infer',
    'mafat/node/v2/models/a/b/infer',
    'mafat/node/v2/models/infer',
    'mafat/node/v2/models/+/infer',
    nodeTopics('mafat', 'node').status,
  ]) {
    assert.equal(modelOfInferTopic('mafat', 'node', topic), undefined, topic);
  }
});

test('isReplyTopic() allows only topics under a client of the base', () => {
  for (const topic of ['mafat/clients/c1/answers', 'mafat/clients/c1/a/b/c'])
    assert.ok(isReplyTopic('mafat', topic));
  for (const topic of [
    'mafat/clients/c1',
    'mafat/clients/c1/',
    'mafat/clients//answers',
    'mafat/clients/+/answers',
    'mafat/clients/c1/#',
    'mafat/node/status',
    'homeassistant/sensor/config',
    '$SYS/broker',
    `mafat/clients/c1/${'x'.repeat(300)}`,
    'mafat/clients/c1/a\u0000b',
  ]) {
    assert.equal(isReplyTopic('mafat', topic), false, topic);
  }
});
