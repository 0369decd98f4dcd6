/** What the daemon tells of objects over a real broker: their events, their counts and a snapshot. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import sharp from 'sharp';
import type { LinkMessage } from '../agent/serve/mqtt/mqtt-link.js';
import { MqttLink } from '../agent/serve/mqtt/mqtt-link.js';
import type { CountsReport, DetectionReport, ObjectReport } from '../shared/wire/index.js';
import { drawnImage, temporaryFolder } from './fixtures.js';
import { BROKERS, freePort } from './serve/brokers.js';
import { startAgent, until } from './start-agent.js';

const ROOT = 'mafat/test/cameras/still';
const ZONES =
  '{ name: left, points: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]] }, { name: all, points: [[0, 0], [1, 0], [1, 1], [0, 1]] }';

for (const broker of BROKERS) {
  test(`mafat agent tells of objects over ${broker.name}`, { skip: broker.skip }, async (context) => {
    const port = await freePort();
    const isEmbedded = broker.name.includes('embedded');
    const external = isEmbedded ? undefined : await broker.start(port);
    context.after(() => external?.stop());
    const folder = temporaryFolder(context);
    const camera = await describeCamera(folder);
    const server = isEmbedded ? 'embedded' : (external?.url ?? '');
    const agent = startAgent(context, { port, server, folder, camera });
    await agent.logged('connected to the broker');
    const client = await openClient(context, port);
    await until(() => checkedCounts(client.told) >= 4);
    checkFrames(client.frames);
    await checkSnapshots(client);
    assert.equal(await agent.stop(), 0);
    // The embedded broker ends with its agent, and may not have sent all before.
    if (external !== undefined) {
      await until(() => isAtRest(client.told));
      const late = await openClient(context, port, 'late');
      await until(() => isAtRest(late.told) && late.snapshots.length === 1);
      assert.deepEqual(late.snapshots[0], client.snapshots.at(-1));
    }
    checkObjects(client.told);
  });
}

/** A camera in YAML that sees one picture for some frames, then another one. */
async function describeCamera(folder: string): Promise<string> {
  const paths = await Promise.all(
    [0, 20].map(async (number) => {
      const file = join(folder, `${number}.png`);
      writeFileSync(file, await drawnImage(number));
      return file;
    }),
  );
  const files = paths.flatMap((file) => Array<string>(6).fill(`'${file}'`));
  return `{ kind: file, name: still, model: detector, fps: 10, files: [${files}], zones: [${ZONES}],
    objects: { updateInterval: 0, maxAge: 0.2 }, snapshots: { width: 160, interval: 0.1 } }`;
}

/** One message of the camera, in the order of arrival. */
type Told = { readonly object: ObjectReport } | { readonly counts: CountsReport };

async function openClient(context: TestContext, port: number, clientId = 'watcher') {
  const told: Told[] = [];
  const snapshots: Uint8Array[] = [];
  const frames: (readonly DetectionReport[])[] = [];
  const take = ({ topic, payload }: LinkMessage) => {
    if (topic === `${ROOT}/snapshot`) {
      snapshots.push(payload);
      return;
    }
    const report: unknown = JSON.parse(Buffer.from(payload).toString());
    if (topic === `${ROOT}/objects`) told.push({ object: report as ObjectReport });
    else if (topic === `${ROOT}/counts`) told.push({ counts: report as CountsReport });
    else frames.push((report as { detections: DetectionReport[] }).detections);
  };
  const link = new MqttLink(
    {
      server: `mqtt://127.0.0.1:${port}`,
      clientId,
      keepaliveSeconds: 30,
      maxPayloadBytes: 2 ** 25,
    },
    { onConnect: () => undefined, onOffline: () => undefined, onMessage: take },
  );
  for (const topic of [`${ROOT}/objects`, `${ROOT}/counts`, `${ROOT}/snapshot`, 'mafat/test/events'])
    link.subscribe(topic);
  link.start();
  context.after(() => link.stop());
  return {
    told,
    snapshots,
    frames,
    askSnapshot: () => link.publish(`${ROOT}/snapshot/get`, '', { qos: 1 }),
  };
}

/** Raw detections have zones always, and an object once it is told of. No two in a frame have the same. */
function checkFrames(frames: readonly (readonly DetectionReport[])[]): void {
  for (const detections of frames) {
    const ids = detections.flatMap(({ object }) => object ?? []);
    assert.equal(new Set(ids).size, ids.length);
  }
  const all = frames.flat();
  assert.ok(all.some(({ object }) => object !== undefined));
  for (const { zones = [], box } of all) {
    assert.ok(zones.includes('all'));
    assert.equal(zones.includes('left'), box.x + box.width / 2 < 160);
  }
}

type Client = Awaited<ReturnType<typeof openClient>>;

async function checkSnapshots(client: Client): Promise<void> {
  await until(() => client.snapshots.length > 0);
  const seen = client.snapshots.length;
  client.askSnapshot();
  await until(() => client.snapshots.length > seen);
  for (const jpeg of client.snapshots) {
    const { data, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.width, info.height, data.length], [160, 120, 160 * 120 * 3]);
    assert.equal((await sharp(jpeg).metadata()).format, 'jpeg');
  }
}

/**
 * Number of counts that agree with the events before them. The first ones may not, since a client that comes late knows
 * only the objects that were updated since. @throws {AssertionError} if others disagree.
 */
function checkedCounts(told: readonly Told[]): number {
  const live = new Map<string, ObjectReport>();
  let checked = 0;
  for (const message of told) {
    if ('object' in message) {
      if (message.object.change === 'end') live.delete(message.object.id);
      else live.set(message.object.id, message.object);
      continue;
    }
    const expected = countsOf([...live.values()]);
    if (checked > 0) assert.deepEqual(message.counts, expected);
    if (live.size > 0 && isDeepStrictEqual(message.counts, expected)) checked += 1;
  }
  return checked;
}

/** Whether all objects have ended and the counts say so. */
function isAtRest(told: readonly Told[]): boolean {
  const last = told.at(-1);
  return last !== undefined && 'counts' in last && Object.keys(last.counts.labels).length === 0;
}

/** An object begins once and ends once at most, and nothing is told of it after that. */
function checkObjects(told: readonly Told[]): void {
  const seen = new Set<string>();
  const gone = new Set<string>();
  for (const message of told) {
    if (!('object' in message)) continue;
    const { change, id } = message.object;
    assert.ok(!gone.has(id), `${change} after the end`);
    if (change === 'new') assert.ok(!seen.has(id));
    if (change === 'end') gone.add(id);
    seen.add(id);
  }
  assert.ok(gone.size > 0);
}

function countsOf(objects: readonly ObjectReport[]): CountsReport {
  const count = (members: readonly ObjectReport[]) => {
    const labels = [...new Set(members.map(({ label }) => label))];
    return Object.fromEntries(
      labels.map((label) => [label, members.filter((one) => one.label === label).length]),
    );
  };
  const inZone = (name: string) => count(objects.filter(({ zones }) => zones.includes(name)));
  return { labels: count(objects), zones: { left: inZone('left'), all: inZone('all') } };
}
