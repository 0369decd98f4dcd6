import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fitNodeName, TOPIC_NAME } from '../../agent/config/node-name.js';

test('fitNodeName() replaces what no topic level may have', () => {
  assert.equal(fitNodeName('cam-1.local'), 'cam-1-local');
  assert.equal(fitNodeName('Küche/+#'), 'K-che');
});

test('fitNodeName() gives mafat when nothing is left', () => {
  for (const name of ['', '...', 'кухня']) assert.equal(fitNodeName(name), 'mafat');
});

test('fitNodeName() always fits a topic', () => {
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (name) => TOPIC_NAME.test(fitNodeName(name))));
});
