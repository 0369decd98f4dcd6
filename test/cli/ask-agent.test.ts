/** The errors of `mafat infer` and `mafat status` when no agent answers. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { askAgent } from '../../agent/cli/ask-agent.js';
import { runMafat, temporaryFolder } from '../fixtures.js';
import { freePort } from '../serve/brokers.js';
import { skipWithoutMosquitto, startEmbedded, startMosquitto } from '../serve/mqtt/mqtt-link-brokers.js';
import { openLink } from '../serve/mqtt/mqtt-link-client.js';

const SERVER = 'mqtt://127.0.0.1:1';

test('mafat infer and status refuse options with the value, the option and what is allowed', (context) => {
  const cases = [
    ['--server', 'localhost', 'Expected mqtt://host:port or mqtts://host:port.'],
    ['--server', 'localhost:1', 'Expected mqtt://host:port or mqtts://host:port.'],
    ['--server', 'http://localhost', 'Expected mqtt://host:port or mqtts://host:port.'],
    ['--node', 'a/#', 'Expected a name other than clients, of 1 to 64 of the characters'],
    ['--base', '+', 'Expected a topic such as site/mafat'],
  ] as const;
  const folder = temporaryFolder(context);
  for (const [option, value, expected] of cases) {
    const flags = { '--server': SERVER, '--node': 'n', [option]: value };
    const { code, stderr } = runMafat(folder, 'status', ...Object.entries(flags).flat());
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`option '${option} <`));
    assert.ok(stderr.includes(`argument '${value}' is invalid. ${expected}`), stderr);
  }
  const { code, stderr } = infer(context, { model: '#', image: 'absent.png' });
  assert.equal(code, 2);
  assert.match(stderr, /'--model <name>' argument '#' is invalid\. Expected 1 to 64 letters, digits/);
});

test('mafat infer says what is wrong with the file of an image', (context) => {
  const folder = infer(context, { model: 'm', image: '/tmp' });
  assert.equal(folder.code, 1);
  assert.equal(
    folder.stderr,
    'mafat: --image: Cannot read /tmp: not a file; expected a JPEG, PNG or WebP image\n',
  );
  const absent = infer(context, { model: 'm', image: '/absent.png' });
  assert.match(absent.stderr, /--image: Cannot read \/absent\.png: no such file; expected/);
});

test('mafat infer says that an image is too large for the broker', {
  skip: skipWithoutMosquitto,
}, async (context) => {
  const { url } = await startMosquitto(context, ['max_packet_size 2000']);
  const retain = { 'mafat/n/info': JSON.stringify({ maxPayloadBytes: 100_000 }) };
  await openLink(url, 'node', { retain }).ready;
  const image = join(temporaryFolder(context), 'large.png');
  writeFileSync(image, new Uint8Array(5000));
  const { code, stderr } = infer(context, { model: 'm', image, server: url });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^mafat: Cannot publish to mafat\/n\/v2\/models\/m\/infer: \d+ bytes, expected at most \d+\n$/,
  );
});

test('askAgent() rejects with what ask() throws', async (context) => {
  const { url } = await startEmbedded(context);
  const fault = new RangeError('too large');
  const exchange = {
    client: 'c',
    topics: ['mafat/clients/c/answers'],
    ask: () => {
      throw fault;
    },
  };
  await assert.rejects(askAgent(flagsOf(url), exchange), fault);
});

test('askAgent() rejects when the broker refuses it a topic', async (context) => {
  const { url } = await startEmbedded(context);
  const exchange = { client: 'c', topics: ['mafat/clients/other/answers'] };
  await assert.rejects(askAgent(flagsOf(url), exchange), /the broker refuses mafat\/clients\/other\/answers/);
});

test('askAgent() says after so many seconds whether the broker or the agent is missing', async (context) => {
  const { url } = await startEmbedded(context);
  const exchange = { client: 'c', topics: ['mafat/n/info'] };
  await assert.rejects(askAgent(flagsOf(url), exchange), /no answer from node "n" within 1 s/);
  const absent = `mqtt://user:secret@127.0.0.1:${await freePort()}`;
  await assert.rejects(
    askAgent(flagsOf(absent), exchange),
    /no connection to 127\.0\.0\.1:\d+: .*ECONNREFUSED/,
  );
});

function flagsOf(server: string) {
  return { server, node: 'n', base: 'mafat', timeout: 1 };
}

function infer(
  context: TestContext,
  { model, image, server = SERVER }: { model: string; image: string; server?: string },
) {
  const options = { server, node: 'n', model, image, timeout: '5' };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  return runMafat(temporaryFolder(context), 'infer', ...flags);
}
