/** Hostile and broken requests: each gets an error that names the field, or none at all; the agent stays up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INFER_TOPIC, openClient, requestOf } from './agent-client.js';
import { runMafat, skipWithoutShared, temporaryFolder } from './fixtures.js';
import { freePort } from './serve/brokers.js';
import { startAgent, until } from './start-agent.js';

test('mafat agent answers broken requests with the field, and stays up', {
  skip: skipWithoutShared,
}, async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: 'embedded' });
  await agent.logged('connected to the broker');
  const client = await openClient(context, port);
  const tensor = { name: 'image', shape: [1, 3, 320, 320], datatype: 'FP32' };
  const image = { name: 'image', shape: [1], datatype: 'BYTES' };
  const cases: readonly (readonly [string, RegExp, number])[] = [
    [
      '{"parameters": {"reply_to": "mafat/clients/tester/answers"}, "inputs": [',
      /^request: not valid JSON/,
      400,
    ],
    [
      requestOf({ ...tensor, shape: [1, 3, 2, 2], data: new Array(12).fill(0) }),
      /^inputs\[0\]: .*expected float32 \[1, 3, 320, 320\]/,
      400,
    ],
    [requestOf({ ...tensor, data: [1, 2, 3] }), /^inputs\[0\]\.data: 3 values, expected 307200/, 400],
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
  await agent.logged('reply_to: mafat/test/status, expected mafat/clients/<client>/...');
  const again = await client.ask(requestOf({ ...image, shape: [2], data: ['aGVsbG8='] }));
  assert.match(again.error ?? '', /^inputs\[0\]\.shape/);
  assert.equal(await agent.stop(), 0);
});

test('mafat agent refuses a configuration with all that is wrong with it', (context) => {
  const folder = temporaryFolder(context);
  const { code, stderr } = runMafat(folder, 'agent', '--config', `${folder}/absent.yaml`);
  assert.equal(code, 1);
  assert.match(stderr, /absent.yaml: no such file/);
});

test('mafat agent says which models there are when one is missing', {
  skip: skipWithoutShared,
}, async (context) => {
  const agent = startAgent(context, { port: await freePort(), server: 'embedded', model: 'absent' });
  await until(() => agent.child.exitCode !== null);
  assert.equal(agent.child.exitCode, 1);
});
