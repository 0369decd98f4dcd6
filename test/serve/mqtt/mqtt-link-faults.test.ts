/** Brokers that refuse, hang up, freeze, or take only small packets. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '../../fixtures.js';
import { openGate, skipWithoutMosquitto, startEmbedded, startMosquitto } from './mqtt-link-brokers.js';
import { openLink, textsOf, until } from './mqtt-link-client.js';

const skip = skipWithoutMosquitto;
const KB = 1024;

/** CONNACK of MQTT 5: server unavailable. */
const UNAVAILABLE_5 = Uint8Array.of(0x20, 3, 0, 136, 0);
/** CONNACK of MQTT 3.1.1: server unavailable. */
const UNAVAILABLE_311 = Uint8Array.of(0x20, 2, 0, 3);

test('MqttLink tries again for ever where the broker refuses it', { skip }, async (context) => {
  const broker = await startMosquitto(context, ['allow_anonymous false']);
  const { link, offline, ready } = openLink(broker.url, 'node');
  await until(() => offline.length >= 2);
  assert.match(offline[1]?.reason ?? '', /Connection refused: Not authorized/);
  broker.reload(['allow_anonymous true']);
  await ready;
  await link.stop();
});

test('MqttLink does not give up MQTT 5 for a broker that is not available yet', { skip }, async (context) => {
  const broker = await startMosquitto(context);
  const gate = await openGate(context, broker.port, ({ count }) => (count < 2 ? UNAVAILABLE_5 : 'pass'));
  const { link, ready } = openLink(gate.url, 'node');
  await ready;
  assert.deepEqual(gate.versions, [5, 5, 5]);
  await link.stop();
});

test('MqttLink steps to 3.1.1 at once where MQTT 5 is refused by name, and stays there', async (context) => {
  const broker = await startEmbedded(context);
  const gate = await openGate(context, broker.port, ({ count }) => (count === 2 ? UNAVAILABLE_311 : 'pass'));
  const { link, offline, ready } = openLink(gate.url, 'node');
  await ready;
  assert.deepEqual(offline, [], 'a step, not a failure');
  gate.cutAll();
  await until(() => offline.length === 2 && link.connected);
  assert.deepEqual(gate.versions, [5, 4, 4, 4]);
  await link.stop();
});

test('MqttLink comes to 3.1.1 where a broker just hangs up on MQTT 5', async (context) => {
  const broker = await startEmbedded(context);
  const gate = await openGate(context, broker.port, ({ version }) => (version === 5 ? 'hang up' : 'pass'));
  const { link, offline, ready } = openLink(gate.url, 'node');
  await ready;
  gate.cutAll();
  await until(() => offline.length === 3 && link.connected);
  assert.deepEqual(gate.versions, [5, 5, 4, 4]);
  await link.stop();
});

test('MqttLink comes back to MQTT 5 after a broker that hung up on everybody', { skip }, async (context) => {
  const broker = await startMosquitto(context);
  const gate = await openGate(context, broker.port, ({ count }) => (count < 3 ? 'hang up' : 'pass'));
  const { link, ready } = openLink(gate.url, 'node');
  await ready;
  assert.deepEqual(gate.versions, [5, 5, 4, 5]);
  await link.stop();
});

test('MqttLink says how long it really waits', async (context) => {
  const gate = await openGate(context, 0, () => UNAVAILABLE_5);
  const { link, offline } = openLink(gate.url, 'node');
  await until(() => gate.arrivedMs.length >= 3);
  for (const [at, { retryMs, atMs }] of offline.slice(0, 2).entries()) {
    const waitedMs = (gate.arrivedMs[at + 1] ?? 0) - atMs;
    assert.ok(waitedMs > retryMs - 10 && waitedMs < retryMs + 400, `${waitedMs} ms, said ${retryMs}`);
  }
  await link.stop();
});

test('MqttLink counts topic and correlation data against the largest packet, to the byte', {
  skip,
}, async (context) => {
  const { url } = await startMosquitto(context, [`max_packet_size ${4 * KB}`]);
  const { link, messages, offline, ready } = openLink(url, 'node');
  const topic = `mafat/${'x'.repeat(500)}`;
  link.subscribe(topic);
  await ready;
  for (const correlationBytes of [0, 100, KB]) {
    const options = { qos: 1, correlationData: new Uint8Array(correlationBytes) } as const;
    const mostBytes = 4 * KB - topic.length - correlationBytes - 15;
    assert.throws(() => link.publish(topic, 'x'.repeat(mostBytes + 1), options), RangeError);
    const seen = messages.length;
    link.publish(topic, 'x'.repeat(mostBytes), options);
    await until(() => messages.length > seen);
    assert.equal(messages.at(-1)?.correlationData?.byteLength, correlationBytes);
  }
  assert.deepEqual(offline, []);
  await link.stop();
});

test('MqttLink drops messages whose correlation data is too long to be echoed', { skip }, async (context) => {
  const { url } = await startMosquitto(context);
  const node = openLink(url, 'node');
  node.link.subscribe('mafat/node/in');
  await node.ready;
  for (const bytes of [KB, KB + 1, 60_000]) {
    node.link.publish('mafat/node/in', String(bytes), { qos: 1, correlationData: new Uint8Array(bytes) });
  }
  await until(() => node.refused.length === 2);
  assert.deepEqual(textsOf(node.messages), ['1024']);
  assert.equal(node.refused[1], 'mafat/node/in: correlation data: 60000 bytes, expected at most 1024');
  await node.link.stop();
});

test('MqttLink loses its line once, not for good, to a packet over a limit that 3.1.1 does not announce', async (context) => {
  const { url, login } = await startEmbedded(context, { maxPacketBytes: KB });
  const { link, messages, offline, ready } = openLink(url, 'node', login);
  link.subscribe('mafat/x');
  await ready;
  link.publish('mafat/x', 'x'.repeat(2 * KB), { qos: 1 });
  await until(() => offline.length === 1 && link.connected);
  await sleep(100);
  link.publish('mafat/x', 'small', { qos: 1 });
  await until(() => messages.length > 0);
  assert.deepEqual(textsOf(messages), ['small']);
  assert.equal(offline.length, 1);
  await link.stop();
});

test('MqttLink reports what is retained and too large for the broker, and says the rest', {
  skip,
}, async (context) => {
  const { url } = await startMosquitto(context, [`max_packet_size ${2 * KB}`]);
  const retain = {
    'mafat/large': 'x'.repeat(5000),
    'mafat/own-limit': 'x'.repeat(200_000),
    'mafat/small': 'small',
  };
  const { link, messages, offline, refused, ready } = openLink(url, 'node', { retain });
  link.subscribe('mafat/+');
  await ready;
  await until(() => messages.length > 0);
  assert.deepEqual(refused, [
    'mafat/own-limit: 200000 bytes, expected at most 100000',
    'mafat/large: 5000 bytes, expected at most 2022',
  ]);
  link.retain('mafat/small', 'x'.repeat(3000));
  assert.match(refused[2] ?? '', /^mafat\/small: 3000 bytes/);
  link.retain('mafat/small', 'smaller');
  await until(() => messages.length > 1);
  assert.deepEqual(textsOf(messages), ['small', 'smaller']);
  assert.deepEqual(offline, []);
  await link.stop();
});

test('MqttLink keeps from topics that brokers cut the line for', { skip }, async (context) => {
  const { url } = await startMosquitto(context);
  const { link, offline, ready } = openLink(url, 'node');
  await ready;
  for (const topic of ['', 'mafat/+', 'mafat/#', 'mafat/\u0000', 'mafat/\uffff', 'x'.repeat(70_000)])
    assert.throws(() => link.publish(topic, '', { qos: 1 }), RangeError);
  link.publish(`mafat/${'\u{1f600}'.repeat(16_377)}`, 'longest', { qos: 1 });
  await sleep(200);
  assert.deepEqual(offline, []);
  await link.stop();
});

test('MqttLink reports a QoS 1 publish that the broker refuses', { skip }, async (context) => {
  const acl = join(temporaryFolder(context), 'acl');
  writeFileSync(acl, 'topic readwrite mafat/open\n');
  const { url } = await startMosquitto(context, [`acl_file ${acl}`]);
  const { link, refused, ready } = openLink(url, 'node');
  await ready;
  link.publish('mafat/open', '', { qos: 1 });
  link.publish('mafat/x', '', { qos: 1 });
  await until(() => refused.length > 0);
  assert.deepEqual(refused, ['mafat/x: Publish error: Not authorized']);
  await link.stop();
});

test('MqttLink reports a subscription that the broker refuses', async (context) => {
  const { url } = await startEmbedded(context);
  const { link, refused } = openLink(url, 'node');
  link.subscribe('mafat/clients/other/answers');
  await until(() => refused.length > 0);
  assert.match(refused.join(), /^mafat\/clients\/other\/answers: Subscribe error: /);
  await link.stop();
});

test('MqttLink stops while the broker is frozen', { skip }, async (context) => {
  const broker = await startMosquitto(context);
  const { link, ready } = openLink(broker.url, 'node');
  await ready;
  broker.freeze();
  const startMs = performance.now();
  await link.stop({ topic: 'mafat/node/status', payload: 'stopped' });
  assert.ok(performance.now() - startMs < 4000);
  const silent = openLink(broker.url, 'silent');
  await sleep(100);
  await silent.link.stop();
  assert.ok(performance.now() - startMs < 8000);
});

test('MqttLink stops between two attempts, and tries no more', async (context) => {
  const gate = await openGate(context, 0, () => 'hang up');
  const { link, offline } = openLink(gate.url, 'node');
  await until(() => offline.length === 1);
  await link.stop();
  await sleep(2000);
  assert.equal(gate.versions.length, 1);
});
