import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { loginOf, openSocket } from '../../../agent/serve/mqtt/broker-socket.js';

test('loginOf() reads user name and password of a URL as they were before their encoding', () => {
  assert.deepEqual(loginOf('mqtt://me%40home:p%3Aw@host:1'), { username: 'me@home', password: 'p:w' });
  assert.deepEqual(loginOf('mqtts://me@host'), { username: 'me' });
  assert.deepEqual(loginOf('mqtt://host'), {});
});

test('openSocket() connects to hosts by name and by address, IPv6 included', async (context) => {
  const server = createServer((socket) => socket.destroy()).listen(0, '::');
  context.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (const host of ['localhost', '127.0.0.1', '[::1]']) {
    const socket = openSocket(`mqtt://${host}:${port}`);
    await once(socket, 'connect');
    socket.destroy();
  }
});

test('openSocket() speaks TLS to an mqtts broker', async (context) => {
  const server = createServer((socket) => {
    socket.once('data', (bytes) => {
      socket.destroy();
      server.emit('greeted', bytes[0]);
    });
  }).listen(0, '127.0.0.1');
  context.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const greeted = once(server, 'greeted');
  openSocket(`mqtts://127.0.0.1:${port}`).on('error', () => undefined);
  // The first byte of a TLS handshake.
  assert.deepEqual(await greeted, [22]);
});
