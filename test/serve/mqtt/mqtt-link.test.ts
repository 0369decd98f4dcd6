/** The link to a real broker: embedded (MQTT 3.1.1) and Mosquitto (5). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BROKERS, freePort } from '../brokers.js';
import { openLink, textsOf, until } from './mqtt-link-client.js';

for (const broker of BROKERS) {
  test(`MqttLink over ${broker.name}: retained state, messages, last will`, {
    skip: broker.skip,
  }, async () => {
    const { url, login, stop } = await broker.start(await freePort());
    const will = { topic: 'mafat/node/status', payload: 'offline' };
    const node = openLink(url, 'node', { ...login, will });
    node.link.retain('mafat/node/status', 'online');
    node.link.subscribe('mafat/node/v2/models/+/infer/#');
    await node.ready;
    const client = openLink(url, 'client');
    client.link.subscribe('mafat/node/status');
    client.link.subscribe('mafat/clients/client/answers');
    await client.ready;
    await until(() => textsOf(client.messages).includes('online'));
    client.link.publish('mafat/node/v2/models/m/infer', '{"id":"1"}', { qos: 1 });
    await until(() => node.messages.length > 0);
    // The embedded broker appends who sent it.
    assert.match(node.messages[0]?.topic ?? '', /^mafat\/node\/v2\/models\/m\/infer(\/client)?$/);
    node.link.publish('mafat/clients/client/answers', 'answer', { qos: 1 });
    await until(() => textsOf(client.messages).includes('answer'));
    await node.link.stop({ topic: 'mafat/node/status', payload: 'stopped' });
    await until(() => textsOf(client.messages).includes('stopped'));
    await client.link.stop();
    await stop();
  });

  test(`MqttLink over ${broker.name}: waits for a broker that starts late, and subscribes again after a restart`, {
    skip: broker.skip,
  }, async () => {
    const port = await freePort();
    const node = openLink(`mqtt://127.0.0.1:${port}`, 'node');
    node.link.subscribe('mafat/clients/node/answers');
    await until(() => node.offline.length > 0);
    const first = await broker.start(port);
    await node.ready;
    await first.stop();
    await until(() => !node.link.connected);
    const second = await broker.start(port);
    await until(() => node.link.connected);
    const client = openLink(second.url, 'client', second.login);
    await client.ready;
    await until(() => {
      client.link.publish('mafat/clients/node/answers', 'again');
      return textsOf(node.messages).includes('again');
    });
    await node.link.stop();
    await client.link.stop();
    await second.stop();
  });

  test(`MqttLink over ${broker.name}: says all again after a restart`, {
    // The embedded broker takes it from the agent alone, by a login that ends with the broker.
    skip: broker.name.includes('embedded') ? 'its agent never outlives it' : broker.skip,
  }, async () => {
    const port = await freePort();
    const node = openLink(`mqtt://127.0.0.1:${port}`, 'node');
    node.link.retain('mafat/node/status', 'online');
    await until(() => node.offline.length > 0);
    const first = await broker.start(port);
    await node.ready;
    await first.stop();
    await until(() => !node.link.connected);
    const second = await broker.start(port);
    await until(() => node.link.connected);
    const client = openLink(second.url, 'client');
    client.link.subscribe('mafat/node/status');
    await until(() => textsOf(client.messages).includes('online'));
    await node.link.stop();
    await client.link.stop();
    await second.stop();
  });

  test(`MqttLink over ${broker.name}: refuses payloads that are too large and stays connected`, {
    skip: broker.skip,
  }, async () => {
    const { url, stop } = await broker.start(await freePort());
    const node = openLink(url, 'node');
    await node.ready;
    assert.throws(
      () => node.link.publish('mafat/x', 'x'.repeat(200_000)),
      /mafat\/x: 200000 bytes, expected at most 100000/,
    );
    assert.ok(node.link.connected);
    await node.link.stop();
    await stop();
  });
}

test('EmbeddedBroker lets nobody read the answers of another client', async () => {
  const [embedded] = BROKERS;
  const started = await embedded?.start(await freePort());
  assert.ok(started);
  const spy = openLink(started.url, 'spy');
  for (const filter of ['mafat/clients/victim/answers', 'mafat/clients/+/answers', 'mafat/#', '#'])
    spy.link.subscribe(filter);
  spy.link.subscribe('mafat/clients/spy/answers');
  await spy.ready;
  const node = openLink(started.url, 'node', started.login);
  await node.ready;
  await sleep(100);
  node.link.publish('mafat/clients/victim/answers', 'secret', { qos: 1 });
  node.link.publish('mafat/clients/spy/answers', 'own', { qos: 1 });
  await until(() => spy.messages.length > 0);
  await sleep(50);
  assert.deepEqual(textsOf(spy.messages), ['own']);
  await spy.link.stop();
  await node.link.stop();
  await started.stop();
});
