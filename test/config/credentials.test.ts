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
  assert.deepEqual(withCredentials(CONFIG, undefined), CONFIG);
});

test('withCredentials() refuses half a login for the embedded broker, without showing it', (context) => {
  const folder = fakeTree(context, { 'mqtt.password': 'geheim' });
  assert.throws(
    () => withCredentials(CONFIG, folder),
    /expected mqtt.username and mqtt.password, or neither$/,
  );
});

test('withCredentials() takes the password from a file of its own', (context) => {
  const folder = fakeTree(context, { secret: 'geheim\n', empty: '' });
  const at = (file: string) =>
    withCredentials(
      parseConfig(`mqtt: { username: a, passwordFile: '${folder}/${file}' }`, 'test'),
      undefined,
    );
  assert.equal(at('secret').mqtt.password, 'geheim');
  assert.throws(() => at('empty'), /passwordFile .*empty: it is empty$/);
  assert.throws(() => at('absent'), /passwordFile .*absent: no such file$/);
});

test('withCredentials() refuses an open door that the credentials were to close', (context) => {
  const folder = fakeTree(context, {});
  const open = parseConfig('mqtt: { listen: { host: 0.0.0.0 } }', 'test', { hasCredentials: true });
  assert.throws(() => withCredentials(open, folder), /mqtt.listen.host is 0.0.0.0, which needs a login/);
});
