/** Cameras of a real agent whose frames come from commands. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { MqttLink } from '../agent/serve/mqtt/mqtt-link.js';
import type { CameraStateReport } from '../shared/wire/index.js';
import { cameraTopics, nodeTopics } from '../shared/wire/index.js';
import { openClient } from './agent-client.js';
import { isAlive, skipWithoutFfmpeg, writeCommand } from './camera/camera-probe.js';
import { startMjpegServer } from './camera/camera-sources.js';
import { freePort } from './serve/brokers.js';
import { startAgent, until } from './start-agent.js';

const SECRET = 's3cretWord';
const TOPICS = nodeTopics('mafat', 'test');
const DOOR = cameraTopics(TOPICS, 'door');

test('mafat agent switches a camera over MQTT, and says how it is without credentials', {
  skip: skipWithoutFfmpeg,
}, async (context) => {
  const { agent, server, messages, state, publish } = await setUp(context);
  await until(() => state()?.state === 'running');
  assert.deepEqual(state(), { enabled: true, state: 'running', reason: null });
  await until(() => messages.some(({ topic, text }) => topic === TOPICS.events && text.includes('"door"')));
  const [pid = 0] = ffmpegsOf(agent.child.pid);
  assert.ok(isAlive(pid));

  publish(DOOR.set, '{"enabled": false}');
  await until(() => state()?.enabled === false && !isAlive(pid));
  assert.deepEqual(state(), { enabled: false, state: 'disabled', reason: null });
  assert.deepEqual(ffmpegsOf(agent.child.pid), []);
  publish(DOOR.set, '{"enabled": true}');
  await until(() => state()?.state === 'running');

  publish(DOOR.set, '{"enabled": 1}');
  await agent.logged('setting: expected {\\"enabled\\": true} or {\\"enabled\\": false}');
  publish(DOOR.set, `{"enabled": true${' '.repeat(2000)}}`);
  await agent.logged('bytes, expected at most 1024');
  publish(cameraTopics(TOPICS, 'roof').set, '{"enabled": false}');
  await agent.logged('Cannot switch camera \\"roof\\": expected one of cam, door');

  await server.stop();
  await until(() => state()?.state === 'waiting');
  await agent.logged('camera lost; starting it again');
  assert.equal(await agent.stop(), 0);
  assert.ok(messages.some(({ topic }) => topic === TOPICS.health));
  for (const { topic, text } of messages) assert.ok(!text.includes(SECRET), `${topic}: ${text}`);
  assert.ok(!agent.log().includes(SECRET), agent.log());
});

test('mafat agent leaves no ffmpeg when it is killed, whether pictures come or not', {
  skip: skipWithoutFfmpeg || skipWithoutDeathSignal(),
}, async (context) => {
  const { agent, server, state } = await setUp(context);
  await until(() => state()?.state === 'running');
  // An ffmpeg that has nothing to write doesn't notice that nobody reads.
  server.pause();
  const [pid = 0] = ffmpegsOf(agent.child.pid);
  assert.ok(isAlive(pid));
  agent.child.kill('SIGKILL');
  await until(() => !isAlive(pid));
});

test('mafat agent counts broken images of libcamera, logs them once, and goes on', async (context) => {
  const port = await freePort();
  const command = await writeCommand(
    context,
    'while head -c 400 image.jpg && cat image.jpg && sleep 0.1 && cat image.jpg; do sleep 0.1; done',
  );
  const roof = `{ kind: libcamera, name: roof, model: detector, fps: 100, command: '${command}' }`;
  const agent = startAgent(context, { port, server: 'embedded', cameras: [roof] });
  await agent.logged('connected to the broker');
  const client = await openClient(context, port);
  const countsOf = async () => (await client.nextHealth()).cameras.find(({ name }) => name === 'roof');
  let counts = await countsOf();
  while ((counts?.failed ?? 0) < 3 || (counts?.processed ?? 0) < 3) counts = await countsOf();
  assert.deepEqual([counts?.state, counts?.reason], ['running', null]);
  const entries = agent
    .log()
    .split('\n')
    .filter((line) => line.includes('frame failed'));
  // Later entries, if a minute has passed, carry the number of times.
  assert.equal(entries.filter((line) => !line.includes('"times"')).length, 1, entries.join('\n'));
  assert.equal(await agent.stop(), 0);
});

interface Message {
  readonly topic: string;
  readonly text: string;
}

/** An agent with the camera `door`, and a client that hears all that the node says. */
async function setUp(context: TestContext) {
  const [port, sourcePort] = [await freePort(), await freePort()];
  const server = await startMjpegServer(context, sourcePort);
  const url = `http://me:${SECRET}@127.0.0.1:${sourcePort}/${SECRET}`;
  const door = `{ kind: ffmpeg, name: door, model: detector, fps: 5, url: '${url}' }`;
  const agent = startAgent(context, { port, server: 'embedded', cameras: [door] });
  await agent.logged('connected to the broker');
  const messages: Message[] = [];
  const link = new MqttLink(
    {
      ...{ server: `mqtt://127.0.0.1:${port}`, clientId: 'tester' },
      ...{ keepaliveSeconds: 30, maxPayloadBytes: 2 ** 20 },
    },
    {
      onConnect: () => undefined,
      onOffline: () => undefined,
      onMessage: ({ topic, payload }) => messages.push({ topic, text: Buffer.from(payload).toString() }),
    },
  );
  link.subscribe('mafat/test/#');
  link.start();
  context.after(() => link.stop());
  const state = (): CameraStateReport | undefined => {
    const last = messages.findLast(({ topic }) => topic === DOOR.state);
    return last === undefined ? undefined : (JSON.parse(last.text) as CameraStateReport);
  };
  const publish = (topic: string, payload: string) => link.publish(topic, payload, { qos: 1 });
  return { agent, server, messages, state, publish };
}

/** Ids of the processes that a process started and that run ffmpeg now. */
function ffmpegsOf(parent: number | undefined): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      const [, command, parentId] = /\((.*)\) \S+ (\d+)/.exec(statOf(name)) ?? [];
      return command === 'ffmpeg' && Number(parentId) === parent;
    })
    .map(Number);
}

/** Empty for a process that has gone. */
function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return '';
  }
}

function skipWithoutDeathSignal(): string | false {
  const { status } = spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']);
  return status === 0 ? false : "setpriv of util-linux isn't installed";
}
