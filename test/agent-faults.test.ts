/** What goes wrong around an agent: broken requests, a lost executor, a broker that comes late or restarts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodedInput, INFER_TOPIC, openClient, requestOf } from './agent-client.js';
import { assertSameDetections, detectionsOf } from './detections.js';
import { drawnImage } from './fixtures.js';
import { BROKERS, freePort } from './serve/brokers.js';
import { startAgent, until } from './start-agent.js';
import { DETECTOR_SIZE } from './synthetic-detector.js';

test('mafat agent answers broken requests with the field, and stays up', async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: 'embedded' });
  await agent.logged('connected to the broker');
  const client = await openClient(context, port);
  const tensor = { name: 'image', shape: [1, 3, DETECTOR_SIZE, DETECTOR_SIZE], datatype: 'FP32' };
  const image = { name: 'image', shape: [1], datatype: 'BYTES' };
  const cases: readonly (readonly [string, RegExp, number])[] = [
    [
      '{"parameters": {"reply_to": "mafat/clients/tester/answers"}, "inputs": [',
      /^request: not valid JSON/,
      400,
    ],
    [
      requestOf({ ...tensor, shape: [1, 3, 2, 2], data: new Array(12).fill(0) }),
      /^inputs\[0\]: .*expected float32 \[1, 3, 160, 160\]/,
      400,
    ],
    [requestOf({ ...tensor, data: [1, 2, 3] }), /^inputs\[0\]\.data: fewer values, expected 76800/, 400],
    [requestOf({ ...tensor, datatype: 'FP8', data: [] }), /^inputs\[0\]\.datatype: "FP8"/, 400],
    [requestOf({ ...image, data: ['not base64!'] }), /^inputs\[0\]\.data\[0\]: not base64/, 400],
    [requestOf({ ...image, data: ['aGVsbG8='] }), /^inputs\[0\]: Cannot read image inputs\[0\]/, 400],
    [
      requestOf({ ...image, data: ['A'.repeat(20 * 2 ** 20)] }),
      /^request: \d+ bytes, expected at most 2097152/,
      413,
    ],
  ];
  for (const [payload, expected, status] of cases) {
    const answer = await client.ask(payload);
    assert.match(answer.error ?? '', expected);
    assert.equal(answer.parameters?.status, status);
  }
  client.link.publish(
    INFER_TOPIC,
    requestOf({ ...image, data: ['aGVsbG8='] }, { replyTo: 'mafat/test/status' }),
    { qos: 1 },
  );
  await agent.logged('reply_to: mafat/test/status, expected mafat/clients/tester/...');
  const again = await client.ask(requestOf({ ...image, shape: [2], data: ['aGVsbG8='] }));
  assert.match(again.error ?? '', /^inputs\[0\]\.shape/);
  const sound = await client.ask(requestOf(encodedInput(await drawnImage(0))));
  assert.ok(detectionsOf(sound).length > 0);
  assert.equal(await agent.stop(), 0);
});

test('mafat agent answers as before after its executor was killed', async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: 'embedded' });
  await agent.logged('connected to the broker');
  const client = await openClient(context, port);
  const request = requestOf(encodedInput(await drawnImage(0)));
  const before = await client.ask(request);
  // The first plan may bring an executor of its own, and a report of the one before may be on its way.
  await client.nextHealth();
  const { processes } = await client.nextHealth();
  const executor = processes.find(({ name }) => name === 'executor');
  assert.ok(executor !== undefined);
  process.kill(executor.pid, 'SIGKILL');
  assertSameDetections(detectionsOf(await client.ask(request)), detectionsOf(before));
  await agent.logged('executor replaced');
  assert.equal(await agent.stop(), 0);
});

// The embedded broker has no late start: it is the agent's own.
const mosquitto = BROKERS.find(({ name }) => name === 'Mosquitto');

test('mafat agent runs without its broker, and answers when the broker starts and restarts', {
  skip: mosquitto?.skip ?? 'no such broker',
}, async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: `mqtt://127.0.0.1:${port}`, fps: 10 });
  const request = requestOf(encodedInput(await drawnImage(0)));
  await agent.logged('no connection to the broker');
  // The first run of a plan is measured: a frame of the camera.
  await until(() => agent.rows('SELECT * FROM measurements').length > 0);
  for (const start of [1, 2]) {
    const broker = await mosquitto?.start(port);
    context.after(() => broker?.stop());
    await agent.logged('connected to the broker', start);
    const client = await openClient(context, port);
    // The agent says that it is there when it has subscribed.
    await until(() => client.status() !== undefined);
    assert.ok(detectionsOf(await client.ask(request)).length > 0);
    await client.link.stop();
    await broker?.stop();
  }
  assert.equal(await agent.stop(), 0);
});

test('mafat agent goes on without a model that is missing, and says which there are', async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: 'embedded', model: 'absent' });
  await agent.logged('Cannot load model');
  await agent.logged('which has detector');
  await agent.logged('connected to the broker');
  const client = await openClient(context, port);
  const { models } = await client.nextHealth();
  assert.match(models.find(({ name }) => name === 'absent')?.failure ?? '', /which has detector/);
  assert.equal(await agent.stop(), 0);
});
