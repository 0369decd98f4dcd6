/** The judgement of clients by their CONNECT. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAgentLogin, isLogin, refuseClient } from '../../../agent/serve/broker/broker-login.js';

const credentials = { username: 'user', password: 'word' };

test('isLogin() is true for both parts together alone', () => {
  const given = (username?: string, password?: string) =>
    isLogin(
      {
        ...(username === undefined ? {} : { username }),
        ...(password === undefined ? {} : { password: Buffer.from(password) }),
      },
      credentials,
    );
  assert.ok(given('user', 'word'));
  for (const [username, password] of [
    [],
    ['user'],
    ['user', ''],
    ['user', 'Word'],
    ['users', 'word'],
    ['userword', ''],
  ])
    assert.equal(given(username, password), false, `${username} ${password}`);
});

test('createAgentLogin() makes another password each time', () => {
  assert.notEqual(createAgentLogin().password, createAgentLogin().password);
});

test('refuseClient() refuses ids that are no topic level, wildcards first of all', () => {
  for (const clientId of ['+', '#', 'a/b', '+/x', 'a\nb', 'x'.repeat(129)])
    assert.equal(refuseClient({ clientId }, { base: 'mafat' })?.returnCode, 2, clientId);
  for (const clientId of ['me', 'a b', 'aedes-1', '__proto__', 'x'.repeat(128)])
    assert.equal(refuseClient({ clientId }, { base: 'mafat' }), undefined, clientId);
});

test('refuseClient() takes a client without an id if it keeps no session (MQTT 3.1.1, section 3.1.3.1)', () => {
  assert.equal(refuseClient({ clientId: '', clean: true }, { base: 'mafat' }), undefined);
  assert.equal(refuseClient({ clientId: '', clean: false }, { base: 'mafat' })?.returnCode, 2);
});

test('refuseClient() keeps the id of the agent for the agent', () => {
  const rules = { base: 'mafat', agentId: 'mafat-node' };
  assert.deepEqual(refuseClient({ clientId: 'mafat-node' }, rules), {
    returnCode: 2,
    reason: 'client id is that of the agent, mafat-node',
  });
  assert.equal(refuseClient({ clientId: 'mafat-node2' }, rules), undefined);
});

test('refuseClient() asks for credentials where there are any', () => {
  const rules = { base: 'mafat', credentials };
  assert.equal(refuseClient({ clientId: 'me' }, rules)?.returnCode, 4);
  const login = { username: 'user', password: Buffer.from('word') };
  assert.equal(refuseClient({ clientId: 'me', ...login }, rules), undefined);
});

test('refuseClient() refuses a last will that its client might not publish', () => {
  const will = { topic: 'mafat/node/status', retain: true };
  assert.deepEqual(refuseClient({ clientId: 'me', will }, { base: 'mafat' }), {
    returnCode: 5,
    reason: 'no right to a will for mafat/node/status',
  });
});
