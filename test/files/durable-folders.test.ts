import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { DurableFolders } from '../../agent/files/durable-folders.js';
import { temporaryFolder } from '../fixtures.js';

test('DurableFolders.write() shows the folder only when it is whole', async (context) => {
  const { folders, parent } = setUp(context);
  const write = async (draft: string) => {
    writeFileSync(join(draft, 'file'), 'new');
    assert.ok(readdirSync(parent).every((name) => name.startsWith('.draft-')));
    return 7;
  };
  assert.equal(await folders.write('a', { write }), 7);
  assert.deepEqual(contentOf(parent), { a: 'new' });
});

test('DurableFolders.write() leaves what was there when writing fails', async (context) => {
  const { folders, parent } = setUp(context);
  await folders.write('a', writing('old'));
  const write = async (draft: string) => {
    writeFileSync(join(draft, 'file'), 'half');
    throw new Error('disk full');
  };
  await assert.rejects(folders.write('a', { write }), /disk full/);
  await assert.rejects(folders.write('b', { write }), /disk full/);
  assert.deepEqual(contentOf(parent), { a: 'old' });
});

test('DurableFolders.write() replaces a folder, and a file in its place', async (context) => {
  const { folders, parent } = setUp(context);
  await folders.write('a', writing('old'));
  writeFileSync(join(parent, 'b'), 'a file');
  for (const name of ['a', 'b']) await folders.write(name, writing('new'));
  assert.deepEqual(contentOf(parent), { a: 'new', b: 'new' });
});

test('DurableFolders.write() drops its draft when what took the place is as good', async (context) => {
  const { folders, parent } = setUp(context);
  await folders.write('a', writing('first'));
  await folders.write('a', { ...writing('second'), isAsGood: async () => true });
  assert.deepEqual(contentOf(parent), { a: 'first' });
});

test('DurableFolders.remove() removes a folder or a file, and passes over what has gone', async (context) => {
  const { folders, parent } = setUp(context);
  await folders.write('a', writing('old'));
  writeFileSync(join(parent, 'b'), '');
  for (const name of ['a', 'b', 'c']) await folders.remove(name);
  assert.deepEqual(readdirSync(parent), []);
});

test('DurableFolders.removeIfOld() leaves what a process may still be writing', async (context) => {
  const { folders, parent } = setUp(context);
  for (const name of ['old', 'young']) await folders.write(name, writing('any'));
  setHoursOld(join(parent, 'old'), 2);
  for (const name of ['old', 'young', 'gone']) await folders.removeIfOld(name);
  assert.deepEqual(readdirSync(parent), ['young']);
});

test('DurableFolders.sweep() removes old leftovers, and puts back what has no successor', async (context) => {
  const { folders, parent } = setUp(context);
  await folders.write('a', writing('successor'));
  for (const name of ['.draft-1', '.remove-1', '.draft-young', '.other', '.replaced-1/a', '.replaced-2/b'])
    fill(join(parent, name), 'left');
  for (const name of ['.draft-1', '.remove-1', '.other', '.replaced-1', '.replaced-2'])
    setHoursOld(join(parent, name), 2);
  await folders.sweep();
  assert.deepEqual(readdirSync(parent).sort(), ['.draft-young', '.other', 'a', 'b']);
  assert.equal(readFileSync(join(parent, 'a', 'file'), 'utf8'), 'successor');
  assert.equal(readFileSync(join(parent, 'b', 'file'), 'utf8'), 'left');
});

function setUp(context: TestContext) {
  const parent = temporaryFolder(context);
  return { parent, folders: new DurableFolders(parent) };
}

function writing(text: string) {
  return { write: async (draft: string) => writeFileSync(join(draft, 'file'), text) };
}

function fill(folder: string, text: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'file'), text);
}

function setHoursOld(path: string, hours: number): void {
  const seconds = Date.now() / 1000 - hours * 3600;
  utimesSync(path, seconds, seconds);
}

function contentOf(parent: string) {
  return Object.fromEntries(
    readdirSync(parent).map((name) => [name, readFileSync(join(parent, name, 'file'), 'utf8')]),
  );
}
