import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cameraTopics, isReplyTopic, nodeTopics } from '../../shared/wire/index.js';

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

test('cameraTopics() lie below those of the node', () => {
  assert.deepEqual(cameraTopics(nodeTopics('site/mafat', 'pole'), 'door'), {
    objects: 'site/mafat/pole/cameras/door/objects',
    counts: 'site/mafat/pole/cameras/door/counts',
    snapshot: 'site/mafat/pole/cameras/door/snapshot',
  });
});
