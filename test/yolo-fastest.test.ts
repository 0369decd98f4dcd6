/** A trained detector gives the detections that Darknet gives: untiled, tiled, in a budget, through an agent. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Detection } from '../agent/decode/detection.js';
import { intersectionOverUnion } from '../agent/decode/detection.js';
import type { Answer } from './agent-client.js';
import { detectionsOf } from './detections.js';
import { runMafat, SHARED_MODELS, sharedFolder, skipWithoutShared } from './fixtures.js';
import { freePort } from './serve/brokers.js';
import { startAgent } from './start-agent.js';

const PHOTOS = ['dog', 'giraffe', 'horses', 'person'];
const THRESHOLD = 0.4;

interface Expected {
  readonly detections: readonly {
    readonly label: string;
    readonly confidence: number;
    readonly centerX: number;
    readonly centerY: number;
    readonly width: number;
    readonly height: number;
  }[];
}

test('Yolo-Fastest finds what Darknet finds', { skip: skipWithoutShared }, async (context) => {
  const models = trainedModels();
  const plans = ['whole', '3x3 | 24 | 2x2 | 80 | 3x3', '2x1 | 10 | 1x3 | 101 | 2x2'];
  for (const plan of plans) {
    await context.test(plan, () => {
      const images = PHOTOS.flatMap((name) => ['--image', photoOf(name)]);
      const args = ['yf', ...images, '--plan', plan, '--threshold', String(THRESHOLD), '--verify', '--json'];
      const { code, stdout, stderr } = runMafat(models, 'run', ...args);
      assert.equal(code, 0, stderr);
      const run = JSON.parse(stdout) as {
        verify: { exact: boolean };
        images: { detections: Detection[] }[];
      };
      assert.ok(run.verify.exact);
      for (const [at, name] of PHOTOS.entries()) assertDetections(name, run.images[at]?.detections ?? []);
    });
  }
});

test('Yolo-Fastest within a budget keeps it, and finds the same', { skip: skipWithoutShared }, () => {
  const models = trainedModels();
  const args = ['--image', photoOf('dog'), '--budget', '14M', '--threshold', String(THRESHOLD), '--json'];
  const { code, stdout, stderr } = runMafat(models, 'run', 'yf', ...args);
  assert.equal(code, 0, stderr);
  const { plan, measured, images } = JSON.parse(stdout) as {
    plan: { predicted: { weightsBytes: number } };
    measured: { workingBytes: number };
    images: { detections: Detection[] }[];
  };
  // With room, since jemalloc gives pages back later on a busy machine.
  assert.ok(measured.workingBytes + plan.predicted.weightsBytes < 1.2 * 14 * 2 ** 20);
  assertDetections('dog', images[0]?.detections ?? []);
});

test('Yolo-Fastest finds the same through an agent', { skip: skipWithoutShared }, async (context) => {
  const agent = startAgent(context, {
    port: await freePort(),
    server: 'embedded',
    budget: '14M',
    models: trainedModels(),
    model: 'yf',
  });
  await agent.logged('connected to the broker');
  for (const photo of PHOTOS) {
    const args = ['--model', 'yf', '--image', photoOf(photo), '--threshold', String(THRESHOLD), '--json'];
    const { code, stdout, stderr } = agent.ask('infer', ...args);
    assert.equal(code, 0, stderr);
    assertDetections(photo, detectionsOf(JSON.parse(stdout) as Answer));
  }
  assert.equal(await agent.stop(), 0);
});

let store: string | undefined;

/** Store with Yolo-Fastest as `yf`, imported once. */
function trainedModels(): string {
  store ??= importTrained();
  return store;
}

function importTrained(): string {
  const models = sharedFolder();
  const file = (name: string) => join(SHARED_MODELS, name);
  const args = [
    file('yolo-fastest-1.1.cfg'),
    file('yolo-fastest-1.1.weights'),
    '--labels',
    file('coco.names'),
  ];
  const { code, stderr } = runMafat(models, 'model', 'import', ...args, '--name', 'yf');
  assert.equal(code, 0, stderr);
  return models;
}

function photoOf(name: string): string {
  return join(SHARED_MODELS, 'images', `${name}.jpg`);
}

/** The same labels, and for each expected box another one of its label at the same place. */
function assertDetections(name: string, found: readonly Detection[]): void {
  const { width, height } = sizeOf(name);
  const { detections } = JSON.parse(
    readFileSync(join(SHARED_MODELS, 'expected', `yolo-fastest-1.1.${name}.json`), 'utf8'),
  ) as Expected;
  const labels = (items: readonly { label: string }[]) => items.map(({ label }) => label).sort();
  assert.deepEqual(labels(found), labels(detections), name);
  const left = [...found];
  for (const expected of detections) {
    const at = left.findIndex(
      ({ label, confidence, box }) =>
        label === expected.label &&
        Math.abs(confidence - expected.confidence) <= 0.1 &&
        intersectionOverUnion(relativeBox(box, { width, height }), expected) >= 0.8,
    );
    assert.notEqual(at, -1, `${name}: ${JSON.stringify(expected)} isn't in ${JSON.stringify(left)}`);
    left.splice(at, 1);
  }
}

function relativeBox(box: Detection['box'], { width, height }: { width: number; height: number }) {
  return {
    centerX: (box.x + box.width / 2) / width,
    centerY: (box.y + box.height / 2) / height,
    width: box.width / width,
    height: box.height / height,
  };
}

const SIZES: Readonly<Record<string, readonly [number, number]>> = {
  dog: [768, 576],
  giraffe: [500, 500],
  horses: [773, 512],
  person: [640, 424],
};

function sizeOf(name: string): { width: number; height: number } {
  const [width = 1, height = 1] = SIZES[name] ?? [];
  return { width, height };
}
