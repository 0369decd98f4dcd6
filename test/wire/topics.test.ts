import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cameraTopics, clientOf, nodeTopics } from '../../shared/wire/index.js';

test('clientOf() knows the client of a topic under the base, and of no other', () => {
  for (const topic of ['mafat/clients/c1/answers', 'mafat/clients/c1/a/b/c'])
    assert.ok(clientOf('mafat', topic));
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
    assert.equal(clientOf('mafat', topic), undefined, topic);
  }
});

test('cameraTopics() lie below those of the node', () => {
  assert.deepEqual(cameraTopics(nodeTopics('site/mafat', 'pole'), 'door'), {
    objects: 'site/mafat/pole/cameras/door/objects',
    set: 'site/mafat/pole/cameras/door/set',
    state: 'site/mafat/pole/cameras/door/state',
    counts: 'site/mafat/pole/cameras/door/counts',
    snapshot: 'site/mafat/pole/cameras/door/snapshot',
  });
});
