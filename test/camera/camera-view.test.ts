import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Logger } from 'pino';
import { CameraView } from '../../agent/camera/camera-view.js';
import { parseConfig } from '../../agent/config/load-config.js';
import type { Detection } from '../../agent/decode/detection.js';
import type { ImageSource, SnapshotRequest } from '../../agent/engine/wire/protocol.js';
import { EventHub } from '../../agent/events/event-hub.js';
import type { NodeEvent } from '../../agent/events/node-event.js';
import type { Inference, InferResult } from '../../agent/serve/infer.js';
import { until } from '../start-agent.js';

const IMAGE = { width: 200, height: 100 };
const DOOR = '{ name: door, points: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]] }';

const frame = (grey = 0): ImageSource => ({
  kind: 'pixels',
  name: 'frame',
  ...IMAGE,
  bytes: new Uint8Array(IMAGE.width * IMAGE.height * 3).fill(grey),
});

function resultOf(findings: InferResult['findings']): InferResult {
  return {
    plan: 'whole',
    latencyMs: 5,
    readMs: 1,
    image: IMAGE,
    ...(findings === undefined ? {} : { findings }),
  };
}

const person = (x: number, confidence = 0.5): Detection => ({
  label: 'person',
  classId: 0,
  confidence,
  box: { x, y: 20, width: 30, height: 60 },
});

/** A view with keys of its camera's configuration, and all that it says. */
function createView(keys = '', boxLabels: readonly string[] | null = ['person', 'dog']) {
  const camera = `{ kind: synthetic, name: cam, model: net, ${keys} }`;
  const [config] = parseConfig(`models: [{ name: net }]\ncameras: [${camera}]`, 'a.yaml').cameras;
  assert.ok(config);
  const events: NodeEvent[] = [];
  const hub = new EventHub({ onError: (_, error) => assert.fail(String(error)) });
  hub.subscribe('test', (event) => void events.push(event));
  const drawn: { readonly request: SnapshotRequest; readonly end: (jpeg: Uint8Array) => void }[] = [];
  const warnings: unknown[] = [];
  const view = new CameraView(config, {
    hub,
    inference: { boxLabels: () => boxLabels ?? undefined } as unknown as Inference,
    engine: { draw: (request) => new Promise((end) => drawn.push({ request, end })) },
    log: { warn: (about: unknown) => warnings.push(about) } as unknown as Logger,
  });
  const see = (...detections: Detection[]) => view.report(frame(), resultOf({ detections }));
  const of = <K extends NodeEvent['kind']>(kind: K) =>
    events.filter((event): event is Extract<NodeEvent, { kind: K }> => event.kind === kind);
  return { view, see, of, drawn };
}

test('CameraView publishes detections as they are, with the id of their object', async (context) => {
  const { view, see, of } = createView();
  context.after(() => view.stop());
  view.start();
  see(person(10));
  see(person(12), person(150, 0.4));
  await turn();
  const [first, second] = of('detections').map(({ findings }) => findings.detections);
  assert.deepEqual(first, [person(10)]);
  const id = of('object')[0]?.id;
  assert.ok(id !== undefined);
  assert.deepEqual(second, [{ ...person(12), object: id }, person(150, 0.4)]);
});

test('CameraView publishes objects and counts with their zones, and ends them when it stops', async () => {
  const { view, see, of } = createView(`zones: [${DOOR}]`);
  view.start();
  for (const x of [10, 10, 10]) see(person(x), person(150, 0.4));
  await turn();
  const detections = of('detections').at(-1)?.findings.detections ?? [];
  assert.deepEqual(
    detections.map(({ zones }) => zones),
    [['door'], []],
  );
  view.stop();
  await turn();
  assert.deepEqual(
    of('object').map(({ change, zones, camera, model }) => [change, zones, camera, model]),
    (['new', 'end'] as const).flatMap((change) => [
      [change, ['door'], 'cam', 'net'],
      [change, [], 'cam', 'net'],
    ]),
  );
  assert.deepEqual(
    of('counts').map(({ labels, zones }) => [labels, zones]),
    [
      [{}, { door: {} }],
      [{ person: 2 }, { door: { person: 1 } }],
      [{}, { door: {} }],
    ],
  );
});

test('CameraView counts as objects what the configured labels and their confidences say', async (context) => {
  const { view, see, of } = createView('labels: { person: 0.6 }');
  context.after(() => view.stop());
  view.start();
  const dog = { ...person(80), label: 'dog', confidence: 0.9 };
  for (let count = 0; count < 3; count += 1) see(dog, person(10, 0.7), person(150, 0.5));
  await turn();
  assert.deepEqual(
    of('object').map(({ label, box }) => [label, box.x]),
    [['person', 10]],
  );
  assert.equal(of('detections').at(-1)?.findings.detections.length, 3);
});

test('CameraView refuses labels that the model lacks, and names those that it has', () => {
  assert.throws(() => createView('labels: [person, persn]').view.start(), /label "persn".* person, dog/);
  createView('labels: [persn]', []).view.start();
});

test('CameraView has no objects and no counts where findings are not boxes', async () => {
  const { view, of } = createView('', null);
  view.start();
  const classes = [{ label: 'cat', classId: 1, confidence: 0.9 }];
  for (let count = 0; count < 3; count += 1) view.report(frame(), resultOf({ detections: [], classes }));
  view.stop();
  await turn();
  assert.deepEqual([of('object'), of('counts')], [[], []]);
  assert.deepEqual(of('detections')[0]?.findings, { detections: [], classes });
});

test('CameraView ends objects of a camera that gives no frames any more', async () => {
  const { view, see, of } = createView('fps: 100, objects: { maxAge: 0.1 }');
  view.start();
  see(person(10));
  see(person(10));
  await until(() => of('object').length === 2);
  assert.deepEqual(
    of('object').map(({ change }) => change),
    ['new', 'end'],
  );
  assert.deepEqual(of('counts').at(-1)?.labels, {});
});

test('CameraView finds objects in frames that are farther apart than objects may be unseen', async (context) => {
  const { view, see, of } = createView('fps: 100, objects: { maxAge: 0.1, minHits: 1 }');
  context.after(() => view.stop());
  view.start();
  see(person(10));
  await until(() => of('object').some(({ change }) => change === 'end'));
  see(person(10));
  see(person(12));
  await turn();
  assert.deepEqual(
    of('object').map(({ change }) => change),
    ['new', 'end', 'new'],
  );
});

test('CameraView follows no box without a size', async (context) => {
  const { view, see, of } = createView();
  context.after(() => view.stop());
  view.start();
  const flat = { ...person(10), box: { x: 0, y: 0, width: 0, height: 5 } };
  const endless = {
    ...person(10),
    box: { x: Number.NEGATIVE_INFINITY, y: 0, width: Number.POSITIVE_INFINITY, height: 5 },
  };
  for (let count = 0; count < 3; count += 1) see(flat, endless);
  await turn();
  assert.deepEqual(of('object'), []);
});

test('CameraView runs all frames without a motion gate, and those with motion or objects with one', async (context) => {
  const open = createView();
  assert.deepEqual([open.view.isStill(frame()), open.view.isStill(frame())], [false, false]);
  const { view, see } = createView('motion: {}, snapshots: {}');
  context.after(() => view.stop());
  context.mock.method(performance, 'now', () => nowMs);
  let nowMs = 0;
  assert.ok(!view.isStill(frame()), 'the first frame may show anything');
  nowMs = 60_000;
  assert.ok(view.isStill(frame()));
  view.requestSnapshot();
  assert.ok(!view.isStill(frame()), 'a snapshot needs a frame');
  see(person(10));
  assert.ok(!view.isStill(frame()), 'something is followed');
  nowMs = 61_000;
  see();
  assert.ok(view.isStill(frame()));
});

test('CameraView makes a snapshot of a new object with boxes and zones, one at a time', async (context) => {
  const { view, see, of, drawn } = createView(`zones: [${DOOR}], snapshots: { width: 320, interval: 0.1 }`);
  context.after(() => view.stop());
  see(person(10));
  assert.equal(drawn.length, 0, 'nothing is new yet');
  see(person(10), person(150, 0.4));
  see(person(10), person(150, 0.4));
  assert.equal(drawn.length, 1, 'the second object waits');
  const { image, shapes, limits } = drawn[0]?.request ?? assert.fail('nothing was drawn');
  assert.equal(image.kind, 'pixels');
  assert.deepEqual(limits, { width: 320, quality: 75, maxBytes: 200 * 2 ** 10 });
  assert.deepEqual(
    shapes.map(({ kind, text }) => `${kind} ${text}`),
    ['polygon door', 'box person 50% #1', 'box person 40%'],
  );
  assert.deepEqual(shapes[1]?.points, [
    { x: 0.05, y: 0.2 },
    { x: 0.2, y: 0.8 },
  ]);
  drawn[0]?.end(Uint8Array.of(1));
  await until(() => of('snapshot').length === 1);
  await until(() => {
    see(person(10), person(150, 0.4));
    return drawn.length === 2;
  });
});

test('CameraView gives a snapshot that was asked for with its next frame, and none where they are off', () => {
  const { view, see, drawn } = createView('snapshots: {}');
  view.requestSnapshot();
  see();
  assert.deepEqual(drawn[0]?.request.shapes, []);
  assert.throws(() => createView().view.requestSnapshot(), /camera "cam": its snapshots are off/);
});
