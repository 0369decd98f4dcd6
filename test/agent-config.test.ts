/** The configuration of a real agent: one that can't be used, and others that are taken over while it runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openClient } from './agent-client.js';
import { runMafat, temporaryFolder } from './fixtures.js';
import { freePort } from './serve/brokers.js';
import { startAgent, until } from './start-agent.js';

interface Parts {
  readonly port: number;
  readonly cameras?: readonly string[];
  readonly more?: string;
}

const FAST = '{ kind: synthetic, name: fast, model: detector, fps: 10 }';

function yamlOf({ port, cameras = [FAST], more = '' }: Parts): string {
  return `node: test
models: [{ name: detector }]
memory: { budget: 64M }
mqtt: { listen: { port: ${port} } }
health: { interval: 1 }
cameras: [${cameras.join(', ')}]
${more}`;
}

test('mafat agent ends if its configuration is not there', (context) => {
  const folder = temporaryFolder(context);
  const { code, stderr } = runMafat(folder, 'agent', '--config', `${folder}/absent.yaml`);
  assert.equal(code, 1);
  assert.match(stderr, /absent.yaml: no such file/);
});

test('mafat agent runs degraded by a bad configuration, says what is wrong, and starts anew by a good one', async (context) => {
  const port = await freePort();
  const yaml = yamlOf({ port, more: 'modles: []\nlog: { level: loud }' });
  const agent = startAgent(context, { port, server: 'embedded', yaml });
  await agent.logged('configuration not used');
  await agent.logged('connected to the broker');
  const first = await openClient(context, port);
  await until(() => first.status() === 'degraded' && first.health() !== undefined);
  const { configFault, models } = first.health() ?? assert.fail('no health');
  assert.match(configFault ?? '', /agent.yaml:7: modles: unknown key.*\n.*agent.yaml:8: log.level/);
  assert.deepEqual(models, []);
  await first.link.stop();

  agent.rewrite(yamlOf({ port }));
  await agent.logged('connected to the broker', 2);
  const second = await openClient(context, port);
  await until(() => second.status() === 'online' && second.events.length > 0);
  assert.equal((await second.nextHealth()).configFault, null);
  assert.equal(await agent.stop(), 0);
});

test('mafat agent waits for a good configuration if not even the broker can be read', async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: 'embedded', yaml: 'mqtt: { server: nowhere }' });
  await agent.logged('configuration not used');
  agent.rewrite(yamlOf({ port }));
  await agent.logged('connected to the broker');
  assert.equal(await agent.stop(), 0);
});

test('mafat agent takes over cameras without losing a frame, and names what needs a restart', async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: 'embedded', yaml: yamlOf({ port }) });
  await agent.logged('connected to the broker');
  const client = await openClient(context, port);
  const cameras = async () => (await client.nextHealth()).cameras;
  await until(() => client.events.length > 3);

  const second = '{ kind: synthetic, name: second, model: detector, fps: 5 }';
  const zoned = FAST.replace('}', ', zones: [{ name: z, points: [[0, 0], [1, 0], [1, 1]] }] }');
  const more = 'events: { keepDays: 3 }\nselfCheck: { interval: 60 }';
  agent.rewrite(yamlOf({ port, cameras: [zoned, second], more }));
  await agent.logged('configuration reloaded');
  await agent.logged('"keys":["selfCheck.interval"]');
  await until(() => client.events.some((event) => 'camera' in event && event.camera === 'second'));
  const both = await cameras();
  assert.deepEqual(
    both.map(({ name }) => name),
    ['fast', 'second'],
  );
  const fast = both[0] ?? assert.fail('no camera');
  // It went on: its counts began before.
  assert.ok(fast.captured > 4 && fast.failed === 0 && fast.captured - fast.taken - fast.replaced <= 1);
  assert.ok('zones' in (client.events.findLast(isOf('fast'))?.detections[0] ?? {}));

  agent.rewrite(yamlOf({ port, cameras: [second], more: 'modles: []' }));
  await agent.logged('configuration not reloaded; the old one stays');
  assert.equal((await cameras()).length, 2);

  agent.rewrite(yamlOf({ port, cameras: [second] }));
  await agent.logged('configuration reloaded', 2);
  await client.nextHealth();
  assert.deepEqual(
    (await cameras()).map(({ name, failed }) => [name, failed]),
    [['second', 0]],
  );
  assert.equal(await agent.stop(), 0);
});

function isOf(camera: string): (event: object) => boolean {
  return (event) => 'camera' in event && event.camera === camera;
}
