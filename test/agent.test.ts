/** The daemon as a whole, over real brokers: requests while a camera runs, a budget that shrinks, a restart. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NodeStatus } from '../agent/cli/status-command.js';
import type { Detection } from '../agent/decode/detection.js';
import type { Answer } from './agent-client.js';
import { encodedInput, INFER_TOPIC, openClient, requestOf } from './agent-client.js';
import { assertSameDetections, detectionsOf } from './detections.js';
import { detectorModels, drawnImage, runMafat, sharedFolder } from './fixtures.js';
import { BROKERS, freePort } from './serve/brokers.js';
import { startAgent, until } from './start-agent.js';

/** Of the synthetic detector the untiled plan needs more, and the smallest less. */
const TIGHT = '7M';

/** Another one than the model's own. */
const THRESHOLD = '0.35';

const FRONTS = 'SELECT * FROM fronts';

const images = await drawImages(sharedFolder());
const untiled = detectUntiled(images);

for (const broker of BROKERS) {
  test(`mafat infer through an agent over ${broker.name}`, { skip: broker.skip }, async (context) => {
    const port = await freePort();
    const isEmbedded = broker.name.includes('embedded');
    const external = isEmbedded ? undefined : await broker.start(port);
    context.after(() => external?.stop());
    const server = isEmbedded ? 'embedded' : (external?.url ?? '');
    const agent = startAgent(context, { port, server, budget: TIGHT });
    await agent.logged('connected to the broker');
    await context.test('gives what mafat run gives untiled, while a camera runs', () => showSame(agent));
    await context.test('says why the agent refuses', () => showRefusals(agent));
    assert.equal(await agent.stop(), 0);
  });
}

type Agent = ReturnType<typeof startAgent>;

async function showSame(agent: Agent): Promise<void> {
  for (const [at, image] of images.entries()) {
    const args = ['--model', 'detector', '--image', image, '--threshold', THRESHOLD, '--json'];
    const { code, stdout, stderr } = agent.ask('infer', ...args);
    assert.equal(code, 0, stderr);
    assertSameDetections(detectionsOf(JSON.parse(stdout) as Answer), untiled[at] ?? []);
  }
  await until(() => (healthOf(agent).cameras[0]?.processed ?? 0) > 0);
  const health = healthOf(agent);
  assert.notEqual(health.models[0]?.plan ?? 'whole', 'whole');
}

function healthOf(agent: Agent): NodeStatus['health'] {
  const { status, health } = JSON.parse(agent.ask('status', '--json').stdout) as NodeStatus;
  assert.equal(status, 'online');
  return health;
}

function showRefusals(agent: Agent): void {
  const [image = ''] = images;
  const text = join(agent.folder, 'text.jpg');
  writeFileSync(text, 'no image');
  const large = join(agent.folder, 'large.jpg');
  writeFileSync(large, Buffer.alloc(20 * 2 ** 20));
  for (const [model, file, expected] of [
    ['nothing', image, /refused \(404\): model: "nothing" isn't served here, expected detector/],
    ['detector', text, /refused \(400\): inputs\[0\]: Cannot read image/],
    ['detector', large, /large.jpg makes a request of \d+ bytes, expected at most 2097152/],
  ] as const) {
    const { code, stdout, stderr } = agent.ask('infer', '--model', model, '--image', file);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, expected);
  }
}

test('mafat agent changes its plan when its budget shrinks, and a restart takes the front from the store', async (context) => {
  const agent = startAgent(context, { port: await freePort(), server: 'embedded' });
  await agent.logged('plans of the model known');
  const fronts = agent.rows(FRONTS);
  assert.equal(fronts.length, 1);
  agent.reload(TIGHT);
  await agent.logged('configuration reloaded');
  await agent.logged('"origin":"searched"');
  assert.equal(await agent.stop(), 0);
  const again = startAgent(context, {
    port: await freePort(),
    server: 'embedded',
    folder: agent.folder,
    budget: TIGHT,
  });
  await again.logged('"origin":"stored"');
  assert.equal(await again.stop(), 0);
  assert.deepEqual(again.rows(FRONTS), fronts);
});

test('mafat agent frees all that it holds when not even the smallest plan fits, and serves again when one does', async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: 'embedded' });
  await agent.logged('connected to the broker');
  const client = await openClient(context, port);
  const request = requestOf(encodedInput(await drawnImage(0)));
  assert.ok(detectionsOf(await client.ask(request)).length > 0);
  agent.reload('1M');
  await agent.logged('"to":"critical"');
  assert.equal((await client.ask(request)).parameters?.status, 503);
  while ((await client.nextHealth()).executor.privateBytes > 0);
  agent.reload('64M');
  await agent.logged('"from":"critical"');
  assert.ok(detectionsOf(await client.ask(request)).length > 0);
  assert.equal(await agent.stop(), 0);
});

test('mafat agent loses no frame and no request when its plan changes under load', async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: 'embedded', fps: 20 });
  await agent.logged('connected to the broker');
  const client = await openClient(context, port);
  const input = encodedInput(await drawnImage(0, 'jpeg'));
  let sent = 0;
  /** Requests go on until something has come about, and for some more after it. */
  const load = async (holds: () => boolean) => {
    for (let more = 12; more > 0; more -= holds() ? 1 : 0) {
      // The agent lets 8 wait, the camera's frame among them.
      await until(() => sent - client.answers.length < 6);
      client.link.publish(INFER_TOPIC, requestOf(input, { id: String(sent) }), { qos: 1 });
      sent += 1;
    }
  };
  await load(() => client.events.length > 0);
  agent.reload(TIGHT);
  await load(() => client.events.at(-1)?.plan !== client.events[0]?.plan);
  await until(() => client.answers.length >= sent);
  assert.deepEqual(new Set(client.answers.map(({ id }) => Number(id))), new Set(Array(sent).keys()));
  const [first = []] = client.answers.map(detectionsOf);
  assert.ok(first.length > 0);
  for (const answer of client.answers) assertSameDetections(detectionsOf(answer), first);
  const { cameras } = await client.nextHealth();
  const { captured = 0, taken = 0, replaced = 0, processed = 0, skipped, failed } = cameras[0] ?? {};
  assert.deepEqual([skipped, failed], [0, 0]);
  assert.ok(captured - replaced - taken <= 1, 'one frame waits at most');
  assert.ok(taken - processed <= 1 && processed > 0, 'one frame is in flight at most');
  assert.equal(await agent.stop(), 0);
});

/** One of each format. */
function drawImages(folder: string): Promise<readonly string[]> {
  return Promise.all(
    (['png', 'jpeg', 'webp'] as const).map(async (format, at) => {
      const file = join(folder, `drawn.${format}`);
      writeFileSync(file, await drawnImage(20 * at, format));
      return file;
    }),
  );
}

function detectUntiled(files: readonly string[]): readonly (readonly Detection[])[] {
  const args = files.flatMap((file) => ['--image', file]);
  args.push('--plan', 'whole', '--threshold', THRESHOLD, '--json');
  const { code, stdout, stderr } = runMafat(detectorModels(), 'run', 'detector', ...args);
  assert.equal(code, 0, stderr);
  const run = JSON.parse(stdout) as { images: { detections: Detection[] }[] };
  const found = run.images.map(({ detections }) => detections);
  assert.ok(found.every((detections) => detections.length > 0));
  return found;
}
