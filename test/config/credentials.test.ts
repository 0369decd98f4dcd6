import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withCredentials } from '../../agent/config/credentials.js';
import { parseConfig } from '../../agent/config/load-config.js';
import { fakeTree } from '../board/fake-tree.js';

const CONFIG = parseConfig('', 'test');

test('withCredentials() takes the login from the files of the service manager', (context) => {
  const folder = fakeTree(context, { 'mqtt.username': 'node\n', 'mqtt.password': 'geheim\n' });
  const { username, password } = withCredentials(CONFIG, folder).mqtt;
  assert.deepEqual([username, password], ['node', 'geheim']);
});

test('withCredentials() leaves values of the configuration, and all of it without a folder', (context) => {
  const folder = fakeTree(context, { 'mqtt.username': 'other', 'mqtt.password': 'other' });
  const given = parseConfig('mqtt: { username: a, password: b }', 'test');
  assert.deepEqual(withCredentials(given, folder), given);
  assert.equal(withCredentials(CONFIG, undefined), CONFIG);
});

test('withCredentials() refuses half a login for the embedded broker, without showing it', (context) => {
  const folder = fakeTree(context, { 'mqtt.password': 'geheim' });
  assert.throws(
    () => withCredentials(CONFIG, folder),
    /expected mqtt.username and mqtt.password, or neither$/,
  );
});
