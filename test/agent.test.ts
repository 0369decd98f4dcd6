/** The daemon as a whole, over real brokers: requests while a camera runs, faults, a budget that shrinks, a restart. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import type { NodeHealth } from '../shared/wire/index.js';
import type { Answer } from './agent-client.js';
import { INFER_TOPIC, openClient, requestOf } from './agent-client.js';
import { SHARED_MODELS, skipWithoutShared } from './fixtures.js';
import { BROKERS, freePort } from './serve/brokers.js';
import { startAgent, until } from './start-agent.js';

const PHOTOS = ['dog', 'giraffe', 'horses', 'person'];

for (const broker of BROKERS) {
  const skip = skipWithoutShared === false ? broker.skip : skipWithoutShared;
  test(`mafat infer gives the expected labels through an agent over ${broker.name}`, {
    skip,
  }, async (context) => {
    const port = await freePort();
    const isEmbedded = broker.name.includes('embedded');
    const external = isEmbedded ? undefined : await broker.start(port);
    const agent = startAgent(context, { port, server: isEmbedded ? 'embedded' : (external?.url ?? '') });
    await agent.logged('connected to the broker');
    for (const photo of PHOTOS) {
      const image = join(SHARED_MODELS, 'images', `${photo}.jpg`);
      const { code, stdout, stderr } = agent.ask(
        'infer',
        '--model',
        'yf',
        '--image',
        image,
        '--threshold',
        '0.4',
        '--json',
      );
      assert.equal(code, 0, stderr);
      const { outputs } = JSON.parse(stdout) as { outputs: { name: string; data: string[] }[] };
      const labels = outputs.find(({ name }) => name === 'labels')?.data ?? [];
      assert.deepEqual([...labels].sort(), expectedLabels(photo), photo);
    }
    const refused = agent.ask(
      'infer',
      '--model',
      'nothing',
      '--image',
      join(SHARED_MODELS, 'images', 'dog.jpg'),
    );
    assert.match(refused.stderr, /refused \(404\): model: "nothing" isn't served here, expected yf/);
    const broken = agent.ask('infer', '--model', 'yf', '--image', join(SHARED_MODELS, 'coco.names'));
    assert.match(broken.stderr, /refused \(400\): inputs\[0\]: Cannot read image/);
    const large = join(agent.folder, 'large.jpg');
    writeFileSync(large, Buffer.alloc(20 * 2 ** 20));
    const refusedSize = agent.ask('infer', '--model', 'yf', '--image', large);
    assert.match(refusedSize.stderr, /large.jpg makes a request of \d+ bytes, expected at most 2097152/);
    const status = JSON.parse(agent.ask('status', '--json').stdout) as {
      status: string;
      health: { cameras: { processed: number }[] };
    };
    assert.equal(status.status, 'online');
    assert.ok((status.health.cameras[0]?.processed ?? 0) > 0);
    assert.equal(await agent.stop(), 0);
    await external?.stop();
  });
}

test('mafat agent plans anew when its budget shrinks, and a restart takes the plan from the store', {
  skip: skipWithoutShared,
}, async (context) => {
  const agent = startAgent(context, { port: await freePort(), server: 'embedded' });
  await agent.logged('agent started');
  agent.reload('12M');
  await agent.logged('configuration reloaded');
  await until(() => plansIn(agent.folder).length >= 3);
  const plans = plansIn(agent.folder);
  assert.ok(
    plans.every(
      ({ working_bytes, weights_bytes, budget_bytes }) =>
        budget_bytes === 0 || working_bytes + weights_bytes <= budget_bytes,
    ),
  );
  assert.equal(await agent.stop(), 0);
  const again = startAgent(context, {
    port: await freePort(),
    server: 'embedded',
    folder: agent.folder,
    budget: '12M',
  });
  await again.logged('"origin":"stored"');
  assert.equal(await again.stop(), 0);
  assert.deepEqual(plansIn(agent.folder), plans);
});

test('mafat agent loses no frame and no request when its plan changes under load', {
  skip: skipWithoutShared,
}, async (context) => {
  const port = await freePort();
  const agent = startAgent(context, { port, server: 'embedded', fps: 10 });
  await agent.logged('connected to the broker');
  const client = await openClient(context, port);
  const photo = readFileSync(join(SHARED_MODELS, 'images', 'dog.jpg')).toString('base64');
  const input = { name: 'image', shape: [1], datatype: 'BYTES', data: [photo] };
  const count = 36;
  for (let sent = 0; sent < count; sent += 1) {
    // The agent lets 8 wait, the camera's frame among them.
    await until(() => sent - client.answers.length < 6);
    if (sent === count / 2) agent.reload('12M');
    client.link.publish(INFER_TOPIC, requestOf(input, { id: String(sent) }), { qos: 1 });
  }
  await until(() => client.answers.length >= count);
  await agent.logged('"plan changed"', 2);
  assert.deepEqual(new Set(client.answers.map(({ id }) => Number(id))), new Set(Array(count).keys()));
  assert.deepEqual(client.answers.map(({ error }) => error).filter(Boolean), []);
  for (const { outputs } of client.answers)
    assert.deepEqual(labelsOf(outputs), labelsOf(client.answers[0]?.outputs));
  const { health } = JSON.parse(agent.ask('status', '--json').stdout) as { health: NodeHealth };
  const { captured = 0, taken = 0, replaced = 0, processed = 0, skipped, failed } = health.cameras[0] ?? {};
  assert.deepEqual([skipped, failed], [0, 0]);
  assert.ok(captured - replaced - taken <= 1, 'one frame waits at most');
  assert.ok(taken - processed <= 1 && processed > 0, 'one frame is in flight at most');
  assert.equal(await agent.stop(), 0);
});

function plansIn(folder: string) {
  const database = new Database(join(folder, 'agent.db'), { readonly: true });
  try {
    return database
      .prepare<[], { budget_bytes: number; working_bytes: number; weights_bytes: number }>(
        'SELECT * FROM plans ORDER BY budget_bytes',
      )
      .all();
  } finally {
    database.close();
  }
}

function expectedLabels(photo: string): readonly string[] {
  const text = readFileSync(join(SHARED_MODELS, 'expected', `yolo-fastest-1.1.${photo}.json`), 'utf8');
  return (JSON.parse(text) as { detections: { label: string }[] }).detections
    .map(({ label }) => label)
    .sort();
}

function labelsOf(outputs: Answer['outputs']) {
  return outputs?.find(({ name }) => name === 'labels')?.data;
}
