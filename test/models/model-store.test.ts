import assert from 'node:assert/strict';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { NewModel } from '../../agent/models/model-store.js';
import { DATA_FILE, ModelStore } from '../../agent/models/model-store.js';
import { externalizeConstants } from '../../shared/graph/index.js';
import { parseOnnx, writeOnnx } from '../../shared/onnx/index.js';
import { temporaryFolder } from '../fixtures.js';
import { graphOf } from '../notation.js';

test('ModelStore.save() stores what load() gives back', async (context) => {
  const { store } = setUp(context);
  await store.save('net', newModel(), { force: false });
  const model = await store.load('net');
  assert.deepEqual(await store.list(), ['net']);
  assert.equal(model.manifest.digest, await store.digest('net'));
  assert.equal(model.graph.nodes.length, 2);
});

test('ModelStore.save() leaves nothing when the import fails half-way', async (context) => {
  const { store, folder } = setUp(context);
  const failing = { ...newModel(), finish: () => Promise.reject(new Error('no')) };
  await assert.rejects(store.save('net', failing, { force: false }), /no/);
  assert.deepEqual(readdirSync(folder), []);
});

test('ModelStore.save() keeps the old model when a replacement fails', async (context) => {
  const { store } = setUp(context);
  await store.save('net', newModel(), { force: false });
  const digest = await store.digest('net');
  const failing = { ...newModel(), finish: () => Promise.reject(new Error('no')) };
  await assert.rejects(store.save('net', failing, { force: true }), /no/);
  assert.equal(await store.digest('net'), digest);
});

test('ModelStore.save() refuses a manifest that could not be read again', async (context) => {
  const { store, folder } = setUp(context);
  const model = newModel();
  const finish = async () => {
    const { modelBytes, manifest } = await model.finish('');
    return { modelBytes, manifest: { ...manifest, input: { ...manifest.input, width: 1 } } };
  };
  await assert.rejects(store.save('net', { ...model, finish }, { force: false }), /input.width/);
  assert.deepEqual(readdirSync(folder), []);
});

test('ModelStore.list() passes over leftovers and other files', async (context) => {
  const { store, folder } = setUp(context);
  mkdirSync(join(folder, '.draft-abc'));
  writeFileSync(join(folder, 'notes.txt'), '');
  assert.deepEqual(await store.list(), []);
});

test('ModelStore.load() refuses weights that are shorter than the model says', async (context) => {
  const { store, folder } = setUp(context);
  await store.save('net', newModel(), { force: false });
  truncateSync(join(folder, 'net', DATA_FILE), 100);
  await assert.rejects(store.load('net'), /weights .* expected model.onnx.data, which has 100/);
});

test('ModelStore.load() names line and key of a broken manifest', async (context) => {
  const { store, folder } = setUp(context);
  await store.save('net', newModel(), { force: false });
  const file = join(folder, 'net', 'model.yaml');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/resize: stretch/, 'resize: squeeze').replace(/threshold.*/, ''));
  const line = text.split('\n').findIndex((content) => content.includes('resize:')) + 1;
  await assert.rejects(store.load('net'), new RegExp(`model.yaml:${line}: input.resize`));
});

test('ModelStore.save() clears away old leftovers, and puts back a model that had lost its place', async (context) => {
  const { store, folder } = setUp(context);
  await store.save('lost', newModel(), { force: false });
  mkdirSync(join(folder, '.replaced-x'));
  renameSync(join(folder, 'lost'), join(folder, '.replaced-x', 'lost'));
  mkdirSync(join(folder, '.draft-old'));
  mkdirSync(join(folder, '.draft-new'));
  for (const old of ['.replaced-x', '.draft-old']) utimesSync(join(folder, old), 0, 0);
  await store.save('net', newModel(), { force: false });
  assert.deepEqual(readdirSync(folder).sort(), ['.draft-new', 'lost', 'net']);
  assert.equal((await store.load('lost')).graph.nodes.length, 2);
});

test('ModelStore.load() refuses a mean that has not one value for each channel', async (context) => {
  const { store, folder } = setUp(context);
  await store.save('net', newModel(), { force: false });
  const file = join(folder, 'net', 'model.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/mean:\n(\s+- 0\n){3}/, 'mean: [0.5]\n'));
  await assert.rejects(store.load('net'), /mean and std need one value for each channel/);
});

test('ModelStore.load() names the models there are', async (context) => {
  const { store } = setUp(context);
  await store.save('net', newModel(), { force: false });
  await assert.rejects(store.load('nat'), /"nat": not in .*, which has net/);
});

test('ModelStore.remove() removes', async (context) => {
  const { store, folder } = setUp(context);
  await store.save('net', newModel(), { force: false });
  await store.remove('net');
  assert.deepEqual(readdirSync(folder), []);
  await assert.rejects(store.remove('net'), RangeError);
  await assert.rejects(store.remove('../net'), /expected 1 to 64 letters/);
});

function setUp(context: TestContext): { store: ModelStore; folder: string } {
  const folder = temporaryFolder(context);
  return { store: new ModelStore(folder), folder };
}

function newModel(): NewModel {
  const { graph, chunks } = externalizeConstants(graphOf('3x16x16: c64k5p2 c4k1'), DATA_FILE);
  const input = {
    name: 'image',
    width: 16,
    height: 16,
    channels: 3 as const,
    layout: 'nchw' as const,
    dtype: 'float32' as const,
    resize: 'stretch' as const,
    colorOrder: 'rgb' as const,
    scale: 1,
    mean: [0, 0, 0],
    std: [1, 1, 1],
  };
  const modelBytes = writeOnnx(graph, { recordShapes: true });
  assert.ok(parseOnnx(modelBytes).nodes.length > 0);
  const source = { kind: 'onnx' as const, files: [] };
  return {
    data: chunks,
    finish: async () => ({ modelBytes, manifest: { source, input, decoder: { kind: 'raw' }, labels: [] } }),
  };
}
