/** The embedded broker against real clients, some of them hostile. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectSocket } from 'node:net';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { IClientOptions } from 'mqtt';
import { connectAsync } from 'mqtt';
import type { BrokerOptions } from '../../../agent/serve/broker/embedded-broker.js';
import { EmbeddedBroker } from '../../../agent/serve/broker/embedded-broker.js';
import { until } from '../../start-agent.js';

const REQUEST = 'mafat/node/v2/models/m/infer';
const MB = 2 ** 20;

test('EmbeddedBroker rejects a client id that is a wildcard, which would read the answers of all', async (t) => {
  const { open, refused } = await startBroker(t);
  for (const id of ['+', '#', 'a/b']) await assert.rejects(open(id), /Identifier rejected/);
  assert.equal(refused.length, 3);
  assert.match(refused[0] ?? '', /^127\.0\.0\.1:\d+: client id is "\+", expected 1 to 128 characters/);
});

test('EmbeddedBroker gives dashboards what all nodes say', async (t) => {
  const { open, openAgent } = await startBroker(t);
  const agent = await openAgent();
  await agent.client.publishAsync('mafat/node/health', 'well', { qos: 1, retain: true });
  const dashboard = await open('dashboard');
  const granted = await dashboard.client.subscribeAsync([
    'mafat/+/health',
    'mafat/+/status',
    'mafat/+/events',
  ]);
  assert.deepEqual(
    granted.map(({ qos }) => qos),
    [0, 0, 0],
  );
  await agent.client.publishAsync('mafat/node/events', 'seen');
  await until(() => dashboard.texts().length === 2);
  assert.deepEqual(dashboard.texts(), ['well', 'seen']);
});

test('EmbeddedBroker gives requests to the agent alone, with the id of who sent them', async (t) => {
  const { open, openAgent } = await startBroker(t);
  const agent = await openAgent();
  const topics: string[] = [];
  agent.client.on('message', (topic) => topics.push(topic));
  await agent.client.subscribeAsync(`${REQUEST}/+`);
  const ears = await open('ears');
  const granted = await ears.client
    .subscribeAsync(['mafat/node/#', 'mafat/+/+/+/+/infer/+', 'mafat/node/v2/#', REQUEST, `${REQUEST}/+`])
    .catch((error: unknown) => error);
  assert.match(String(granted), /Unspecified error/);
  await ears.client.subscribeAsync('mafat/node/#');
  const client = await open('honest');
  for (const qos of [0, 1, 2] as const) await client.client.publishAsync(REQUEST, 'picture', { qos });
  await until(() => topics.length === 3);
  assert.deepEqual(new Set(topics), new Set([`${REQUEST}/honest`]));
  await agent.client.publishAsync('mafat/node/health', 'well', { qos: 1 });
  await until(() => ears.count() === 1);
  assert.deepEqual(ears.texts(), ['well']);
});

test('EmbeddedBroker leaves a client id to who has it', async (t) => {
  const { open, openAgent, refused } = await startBroker(t);
  const [agent, victim] = [await openAgent(), await open('victim')];
  await victim.client.subscribeAsync('mafat/clients/victim/answers');
  await assert.rejects(open('victim'), /Identifier rejected/);
  assert.match(refused.at(-1) ?? '', /client id victim is in use$/);
  await agent.client.publishAsync('mafat/clients/victim/answers', 'answer', { qos: 1 });
  await until(() => victim.count() === 1);
  victim.client.end(true);
  await victim.closed;
  // The broker may hear of the end a moment later.
  let isBack = false;
  for (let attempt = 0; attempt < 100 && !isBack; attempt += 1)
    isBack = await open('victim').then(
      () => true,
      () => false,
    );
  assert.ok(isBack);
});

test('EmbeddedBroker cuts who publishes what only nodes say, and passes nothing of it on', async (t) => {
  const { open, openAgent, refused } = await startBroker(t);
  const agent = await openAgent();
  await agent.client.publishAsync('mafat/node/status', 'online', { qos: 1, retain: true });
  const victim = await open('victim');
  await victim.client.subscribeAsync(['mafat/node/status', 'mafat/clients/victim/answers']);
  for (const [topic, retain] of [
    ['mafat/node/status', true],
    ['mafat/clients/victim/answers', false],
    [REQUEST, true],
  ] as const) {
    const forger = await open('forger');
    forger.client.publish(topic, 'forged', { qos: 1, retain });
    await forger.closed;
  }
  await agent.client.publishAsync('mafat/clients/victim/answers', 'true', { qos: 1 });
  await until(() => victim.texts().length === 2);
  assert.deepEqual(victim.texts(), ['online', 'true']);
  assert.deepEqual(
    refused.map((line) => line.replace(/^[^ ]+ /, '')),
    [
      'no right to publish retained to mafat/node/status',
      'no right to publish to mafat/clients/victim/answers',
      `no right to publish retained to ${REQUEST}`,
    ],
  );
});

test('EmbeddedBroker lets nobody leave a last will for a node', async (t) => {
  const { open } = await startBroker(t);
  const will = { topic: 'mafat/node/status', payload: Buffer.from('offline'), qos: 1, retain: true } as const;
  await assert.rejects(open('forger', { will }), /Not authorized/);
});

test('EmbeddedBroker knows the agent by its password, and keeps its client id for it', async (t) => {
  const { open, openAgent, refused } = await startBroker(t);
  const first = await open('mafat-node');
  const agent = await openAgent('mafat-node');
  await first.closed;
  await assert.rejects(open('mafat-node'), /Identifier rejected/);
  await assert.rejects(open('mafat-node', { username: 'agent', password: 'guess' }), /Identifier rejected/);
  assert.ok(agent.client.connected);
  assert.match(refused.at(-1) ?? '', /client id is that of the agent, mafat-node$/);
});

test('EmbeddedBroker asks for credentials where it is given some, not of the agent', async (t) => {
  const credentials = { username: 'user', password: 'word' };
  const { open, openAgent, refused } = await startBroker(t, { credentials });
  await assert.rejects(open('me'), /Bad username or password/);
  await assert.rejects(open('me', { username: 'user', password: 'wrong' }), /Bad username or password/);
  await open('me', credentials);
  await openAgent();
  assert.equal(refused.length, 2);
});

test('EmbeddedBroker keeps no session: what is published while a client is away would pile up', async (t) => {
  const { open, openAgent } = await startBroker(t);
  const agent = await openAgent();
  const before = await open('me', { clean: false });
  await before.client.subscribeAsync('mafat/clients/me/answers', { qos: 1 });
  await before.client.endAsync();
  await agent.client.publishAsync('mafat/clients/me/answers', 'missed', { qos: 1 });
  const after = await open('me', { clean: false });
  await after.client.subscribeAsync('mafat/clients/me/answers', { qos: 1 });
  await agent.client.publishAsync('mafat/clients/me/answers', 'seen', { qos: 1 });
  await until(() => after.texts().length > 0);
  assert.deepEqual(after.texts(), ['seen']);
});

test('EmbeddedBroker takes QoS 2 once, and cuts who never ends it', async (t) => {
  const { open, openAgent, openRaw, refused } = await startBroker(t);
  const agent = await openAgent();
  await agent.client.subscribeAsync(`${REQUEST}/+`, { qos: 1 });
  const client = await open('me');
  await client.client.publishAsync(REQUEST, 'twice', { qos: 2 });
  await until(() => agent.texts().length > 0);
  assert.deepEqual(agent.texts(), ['twice']);
  const raw = await openRaw('raw');
  for (let id = 1; id <= 40; id += 1) raw.write(publishPacket(REQUEST, 'half', { qos: 2, id }));
  await once(raw, 'close');
  assert.match(refused.join(), /: maxInflightInbound exceeded: 32 /);
});

test('EmbeddedBroker cuts a client that sends much before login, or a SUBSCRIBE that is large', async (t) => {
  const { openSocket, openRaw, refused } = await startBroker(t);
  const early = openSocket();
  const closed = once(early, 'close');
  early.write(Uint8Array.of(0x10, 0x80, 0x80, 0x80, 1));
  await closed;
  const raw = await openRaw('raw');
  raw.write(Uint8Array.of(0x82, 0x80, 0x80, 0x80, 1));
  await once(raw, 'close');
  assert.match(refused[0] ?? '', /a packet of 2097157 bytes, expected at most 65536 before login$/);
  assert.match(refused[1] ?? '', /a packet of 2097157 bytes, expected at most 65536 of type 8$/);
});

test('EmbeddedBroker cuts who begins more large packets than all clients together may', async (t) => {
  const { openRaw, refused } = await startBroker(t);
  const raws = [await openRaw('a'), await openRaw('b')];
  // Each announces 31 MB and sends 25 MB. Together 50 MB are more than the limit of 48.
  for (const raw of raws) {
    raw.on('error', () => undefined);
    raw.write(Buffer.concat([Buffer.from([0x30, 0x80, 0x80, 0xc0, 0x0f]), Buffer.alloc(25 * MB)]));
  }
  await until(() => refused.length > 0);
  assert.match(
    refused[0] ?? '',
    /bytes of packets that clients have begun, expected at most 50331648 of all$/,
  );
  assert.equal(refused.length, 1);
});

test('EmbeddedBroker cuts who subscribes without end', async (t) => {
  const { openRaw, refused } = await startBroker(t);
  const raw = await openRaw('raw');
  for (let at = 0; at < 100; at += 1) raw.write(subscribePacket(`mafat/node/x${at}`));
  await once(raw, 'close');
  assert.match(refused.join(), /too many or too long subscriptions, expected at most 64 filters of 1024/);
});

test('EmbeddedBroker cuts who subscribes to the same again and again', async (t) => {
  const { openRaw, refused } = await startBroker(t);
  const raw = await openRaw('raw');
  raw.write(Buffer.concat(Array.from({ length: 100 }, () => subscribePacket('mafat/node/x'))));
  await once(raw, 'close');
  assert.match(refused.join(), /too many subscriptions in a short time$/);
});

test('EmbeddedBroker cuts a reader that stops, and neither the agent nor the others wait for it', async (t) => {
  const { open, openAgent, openRaw, refused } = await startBroker(t);
  const agent = await openAgent();
  const frozen = await openRaw('frozen');
  frozen.write(subscribePacket('mafat/node/events'));
  await once(frozen, 'data');
  frozen.pause();
  const reader = await open('reader');
  await reader.client.subscribeAsync('mafat/node/events');
  const started = performance.now();
  const event = Buffer.alloc(MB / 4, 'e');
  for (let at = 0; at < 120; at += 1) await agent.client.publishAsync('mafat/node/events', event, { qos: 1 });
  await until(() => reader.count() === 120);
  // Without the bound, the stopped reader would delay the others by 5 s.
  assert.ok(performance.now() - started < 5000);
  assert.match(refused.join(), /: \d+ bytes are unread, expected at most 8388608$/);
});

test('EmbeddedBroker cuts who asks again and again for what is retained, and does not read it', async (t) => {
  const { openAgent, openRaw, refused } = await startBroker(t);
  const agent = await openAgent();
  await agent.client.publishAsync('mafat/node/info', Buffer.alloc(300_000), { qos: 1, retain: true });
  const raw = await openRaw('raw');
  raw.pause();
  raw.write(Buffer.concat(Array.from({ length: 60 }, () => subscribePacket('mafat/+/info'))));
  await until(() => refused.length > 0);
  const [, unread] = /: (\d+) bytes are unread/.exec(refused.join()) ?? [];
  assert.ok(Number(unread) < 9 * MB, refused.join());
});

test('EmbeddedBroker.stop() ends connections that never said CONNECT', async (t) => {
  const { broker, openSocket } = await startBroker(t);
  const socket = openSocket();
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  const started = performance.now();
  await broker.stop();
  await closed;
  assert.ok(performance.now() - started < 2000);
});

for (const host of ['::1', '::', '0.0.0.0', 'localhost']) {
  test(`EmbeddedBroker on ${host} gives an address that the agent can dial`, async (t) => {
    const { openAgent, url } = await startBroker(t, { host });
    assert.match(url, /^mqtt:\/\/(127\.0\.0\.1|\[::1\]):\d+$/);
    await openAgent();
  });
}

test('EmbeddedBroker.start() names the key of the configuration when its port is taken, and leaves nothing', async (t) => {
  const { url } = await startBroker(t);
  const port = Number(new URL(url).port);
  const second = new EmbeddedBroker({ host: '127.0.0.1', port, base: 'mafat' });
  await assert.rejects(second.start(), {
    name: 'RangeError',
    message: new RegExp(`mqtt\\.listen\\.port is ${port}, which another program uses on 127\\.0\\.0\\.1`),
  });
  await second.stop();
});

/** A broker and clients that don't reconnect once they are cut off. All end with the test. */
async function startBroker(t: TestContext, options: Partial<BrokerOptions> = {}) {
  const refused: string[] = [];
  const broker = new EmbeddedBroker({
    host: '127.0.0.1',
    port: 0,
    base: 'mafat',
    onRefused: (address, reason) => refused.push(`${address}: ${reason}`),
    ...options,
  });
  const { url, ...login } = await broker.start();
  t.after(() => broker.stop());
  const open = (clientId: string, more: IClientOptions = {}) => openClient(t, url, { clientId, ...more });
  const openSocket = () => {
    const { hostname, port } = new URL(url);
    const socket = connectSocket(Number(port), hostname);
    t.after(() => socket.destroy());
    return socket;
  };
  const openRaw = (id: string) => greet(openSocket(), id);
  return {
    broker,
    url,
    refused,
    open,
    openAgent: (id = 'agent-id') => open(id, login),
    openSocket,
    openRaw,
  };
}

async function openClient(t: TestContext, url: string, options: IClientOptions) {
  const client = await connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0, ...options }, false);
  const payloads: Buffer[] = [];
  client.on('error', () => undefined);
  client.on('message', (_topic, payload) => payloads.push(payload));
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  t.after(() => client.endAsync(true));
  return { client, closed, count: () => payloads.length, texts: () => payloads.map(String) };
}

async function greet(socket: Socket, id: string): Promise<Socket> {
  socket.write(packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 2, 0, 0]), text(id)])));
  await once(socket, 'data');
  return socket;
}

function publishPacket(topic: string, payload: string, { qos, id }: { qos: number; id: number }): Buffer {
  const body = [text(topic), Buffer.from([id >> 8, id & 0xff]), Buffer.from(payload)];
  return packet(0x30 | (qos << 1), Buffer.concat(body));
}

function subscribePacket(filter: string): Buffer {
  return packet(0x82, Buffer.concat([Buffer.from([0, 1]), text(filter), Buffer.from([0])]));
}

/** A packet of less than 128 bytes. */
function packet(head: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([head, body.length]), body]);
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([0, value.length]), Buffer.from(value)]);
}
