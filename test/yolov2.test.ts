/** The paper's network with synthetic weights: exact when tiled, in less than half the memory, within its budget. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runMafat, sharedFolder, smallPng } from './fixtures.js';

interface Run {
  readonly plan: {
    readonly notation: string;
    readonly predicted: { readonly weightsBytes: number; readonly peakBytes: number };
  };
  readonly measured: { readonly workingBytes: number };
  readonly verify?: { readonly exact: boolean; readonly maxAbsDiff: number };
}

test('YOLOv2 layers 0-15 tiled as in the paper take less than half the memory, exactly', async () => {
  const { models, image } = await setUp('--layers', '0-15', '--input', '608x608');
  const whole = run(models, '--image', image, '--plan', 'whole', '--threads', '1');
  const tiled = run(models, '--image', image, '--plan', '5x5 | 8 | 2x2', '--threads', '1', '--verify');
  assert.deepEqual(tiled.verify?.exact, true);
  assert.ok(
    tiled.measured.workingBytes < whole.measured.workingBytes / 2,
    JSON.stringify([tiled.measured, whole.measured]),
  );
});

test('YOLOv2 layers 0-15 within 64 MB keep the budget as measured', async () => {
  const { models, image } = await setUp('--layers', '0-15', '--input', '608x608');
  const { plan, measured } = run(models, '--image', image, '--strategy', 'mafat', '--budget', '64M');
  assert.ok(plan.predicted.peakBytes <= 64 * 2 ** 20);
  assert.ok(measured.workingBytes + plan.predicted.weightsBytes <= 64 * 2 ** 20, JSON.stringify(measured));
});

test('YOLOv2 whole, with its reorg, is cut around it and stays exact', async () => {
  const { models, image } = await setUp('--input', '224x224');
  const { plan, verify } = run(models, '--image', image, '--plan', '2x2 | 12 | 3x3', '--verify');
  assert.match(plan.notation, /\| 27 \| whole \|/);
  assert.ok(verify?.exact, JSON.stringify(verify));
});

test('YOLOv2 runs at another input size than it was made for', async () => {
  const { models, image } = await setUp('--input', '224x224');
  const { verify } = run(models, '--image', image, '--plan', '2x2', '--input', '192x160', '--verify');
  assert.ok(verify?.exact, JSON.stringify(verify));
});

interface SetUp {
  readonly models: string;
  readonly image: string;
}

const setUps = new Map<string, Promise<SetUp>>();

/** Making 50 million random weights takes seconds: tests share what they need alike. */
function setUp(...options: readonly string[]): Promise<SetUp> {
  const key = options.join(' ');
  const made = setUps.get(key) ?? synthesize(options);
  setUps.set(key, made);
  return made;
}

async function synthesize(options: readonly string[]): Promise<SetUp> {
  const models = sharedFolder();
  const { code, stderr } = runMafat(models, 'model', 'synth', 'yolov2', ...options, '--name', 'net');
  assert.equal(code, 0, stderr);
  const image = join(models, 'noise.png');
  writeFileSync(image, await smallPng({ width: 640, height: 480 }));
  return { models, image };
}

function run(models: string, ...args: readonly string[]): Run {
  const { code, stdout, stderr } = runMafat(models, 'run', 'net', ...args, '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Run;
}
