import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { FeatureEntry } from '../agent/features.js';
import { Features } from '../agent/features.js';

function createFeatures(entries: (said: string[]) => readonly FeatureEntry[]) {
  const said: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => void said.push(textOf(line)) });
  return { features: new Features(entries(said), log), said };
}

function textOf(line: string): string {
  const { feature, error, msg } = JSON.parse(line) as Record<string, string>;
  return `${feature}: ${msg} (${error})`;
}

const entry = (name: string, said: string[], faults: { start?: string; stop?: string } = {}) => ({
  name,
  feature: {
    start: async () => {
      said.push(`start ${name}`);
      if (faults.start !== undefined) throw new Error(faults.start);
    },
    stop: async () => {
      said.push(`stop ${name}`);
      if (faults.stop !== undefined) throw new Error(faults.stop);
    },
  },
});

test('Features start in order and stop in reverse, once', async () => {
  const { features, said } = createFeatures((list) => [entry('one', list), entry('two', list)]);
  await features.start();
  await features.stop();
  await features.stop();
  assert.deepEqual(said, ['start one', 'start two', 'stop two', 'stop one']);
});

test('Features go on without an optional one that fails to start, and say so', async () => {
  const { features, said } = createFeatures((list) => [
    { ...entry('camera', list, { start: 'no such device' }), isOptional: true },
    entry('two', list),
  ]);
  await features.start();
  assert.deepEqual(said, [
    'start camera',
    'camera: feature not started; going on without it (Error: no such device)',
    'start two',
  ]);
});

test('Features throw where the node cannot live without one, and stop what was begun', async () => {
  const { features, said } = createFeatures((list) => [
    entry('one', list),
    entry('broker', list, { start: 'port in use' }),
    entry('three', list),
  ]);
  await assert.rejects(features.start(), /port in use/);
  assert.deepEqual(said, ['start one', 'start broker', 'stop broker', 'stop one']);
});

test('Features that are stopped while they start go no further, and are stopped once', async () => {
  let begun: () => void = () => assert.fail('not begun');
  const { features, said } = createFeatures((list) => [
    entry('one', list),
    {
      name: 'slow',
      feature: {
        start: () =>
          new Promise<void>((resolve) => {
            list.push('start slow');
            begun = resolve;
          }),
        stop: () => list.push('stop slow'),
      },
    },
    entry('three', list),
  ]);
  const starting = features.start();
  await new Promise((resolve) => setImmediate(resolve));
  const stopping = [features.stop(), features.stop()];
  begun();
  await Promise.all([starting, ...stopping]);
  assert.deepEqual(said, ['start one', 'start slow', 'stop slow', 'stop one']);
});

test('Features stop all, even if one fails to stop', async () => {
  const { features, said } = createFeatures((list) => [
    entry('one', list),
    entry('two', list, { stop: 'hangs' }),
  ]);
  await features.start();
  await features.stop();
  assert.deepEqual(said.slice(2), [
    'stop two',
    'two: feature not stopped in order (Error: hangs)',
    'stop one',
  ]);
});
