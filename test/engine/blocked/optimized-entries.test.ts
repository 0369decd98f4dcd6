/** Optimised models on disk: none is half written, none is broken, and there are never too many. */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { OptimizedStore } from '../../../agent/engine/blocked/optimized-store.js';
import { temporaryFolder } from '../../fixtures.js';

const DATA = new Uint8Array(10_000).fill(7);

/** Damages of an entry, each of which must be noticed. */
const DAMAGES: Readonly<Record<string, (folder: string) => void>> = {
  'data is truncated': (folder) => truncateSync(join(folder, 'model.onnx.data'), 5000),
  'data has other bytes': (folder) =>
    writeFileSync(
      join(folder, 'model.onnx.data'),
      DATA.map(() => 8),
    ),
  'data is of another time': (folder) => utimesSync(join(folder, 'model.onnx.data'), 1000, 1000),
  'data is in another file': (folder) => {
    const path = join(folder, 'model.onnx.data');
    const { atime, mtime } = statSync(path);
    copyFileSync(path, `${path}.copy`);
    utimesSync(`${path}.copy`, atime, mtime);
    renameSync(`${path}.copy`, path);
  },
  'data has gone': (folder) => rmSync(join(folder, 'model.onnx.data')),
  'the model is truncated': (folder) => truncateSync(join(folder, 'model.onnx'), 2),
  'the model has other bytes': (folder) => writeFileSync(join(folder, 'model.onnx'), 'MODEL'),
  'the description has gone': (folder) => rmSync(join(folder, 'entry.json')),
  'the description is truncated': (folder) => truncateSync(join(folder, 'entry.json'), 20),
  'the description says something else': (folder) =>
    writeFileSync(join(folder, 'entry.json'), '{"machine":1}'),
  'a file is in its place': (folder) => {
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
  },
};

for (const [damage, inflict] of Object.entries(DAMAGES)) {
  test(`OptimizedStore finds no entry, and makes it anew, when ${damage}`, async (context) => {
    const { store, folder } = newStore(context);
    await create(store, 'key');
    inflict(join(folder, 'key'));
    assert.equal(await store.find('key'), undefined);
    await create(store, 'key');
    const found = await store.find('key');
    assert.equal(Buffer.from(found?.model ?? []).toString(), 'model');
    assert.deepEqual(new Uint8Array(readFileSync(join(folder, 'key', 'model.onnx.data'))), DATA);
    assert.deepEqual(readdirSync(folder), ['key']);
  });
}

test('OptimizedStore.create() leaves nothing of what could not be written', async (context) => {
  const { store, folder } = newStore(context);
  const write = async (draft: string) => {
    await writeFile(join(draft, 'model.onnx.data'), DATA);
    throw new Error('no memory');
  };
  await assert.rejects(store.create('key', { weightsBytes: 1, write }), /no memory/);
  await assert.rejects(store.create('key', { weightsBytes: 1, write: async () => undefined }), /ENOENT/);
  await assert.rejects(store.create('key', { weightsBytes: 2 ** 60, write }), /bytes free, expected/);
  assert.deepEqual(readdirSync(folder), []);
});

test('OptimizedStore.create() uses what another process has made meanwhile', async (context) => {
  const { store, folder } = newStore(context);
  const write = async (draft: string) => {
    await create(store, 'key');
    await writeFiles(draft);
  };
  await store.create('key', { weightsBytes: 1, write });
  assert.deepEqual(readdirSync(folder), ['key']);
  assert.notEqual(await store.find('key'), undefined);
});

test('OptimizedStore.prune() keeps the most recently used, and those in use', async (context) => {
  const { store, folder } = newStore(context);
  for (const [at, key] of ['a', 'b', 'c', 'd'].entries()) {
    await create(store, key);
    setUsed(join(folder, key, 'entry.json'), 20 - at);
  }
  await store.find('b');
  await store.prune({ keep: new Set(['a']), storedBytes: 1e6, maxEntries: 3 });
  assert.deepEqual(readdirSync(folder).sort(), ['a', 'b', 'd']);
  await store.prune({ keep: new Set(['a']), storedBytes: DATA.length / 2 });
  assert.deepEqual(readdirSync(folder), ['a'], 'four times the weights of the model at most');
});

test('OptimizedStore removes other machines’ entries, and what crashes left', async (context) => {
  const { store, folder } = newStore(context);
  await create(new OptimizedStore(join(folder, '..'), 'other'), 'other');
  for (const name of ['.draft-old', '.draft-new', 'broken', 'broken-now']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'stray'), '');
  for (const name of ['.draft-old', 'broken', 'stray']) setUsed(join(folder, name), 2);
  await create(store, 'mine');
  assert.deepEqual(readdirSync(folder).sort(), [
    '.draft-new',
    'broken',
    'broken-now',
    'mine',
    'other',
    'stray',
  ]);
  await store.prune({ keep: new Set(), storedBytes: 1e6 });
  assert.deepEqual(readdirSync(folder).sort(), ['.draft-new', 'broken-now', 'mine']);
});

/** @param hours since the last use. */
function setUsed(path: string, hours: number): void {
  const seconds = Date.now() / 1000 - hours * 3600;
  utimesSync(path, seconds, seconds);
}

function newStore(context: TestContext) {
  const modelFolder = temporaryFolder(context);
  return { store: new OptimizedStore(modelFolder, 'machine'), folder: join(modelFolder, 'optimized') };
}

function create(store: OptimizedStore, key: string) {
  return store.create(key, { weightsBytes: DATA.length, write: writeFiles });
}

async function writeFiles(draft: string): Promise<void> {
  await writeFile(join(draft, 'model.onnx'), 'model');
  await writeFile(join(draft, 'model.onnx.data'), DATA);
}
