import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readText } from '../../agent/board/read-text.js';
import { findAllocator } from '../../agent/engine/allocator.js';
import { startExecutor } from '../../agent/engine/executor-client.js';
import { temporaryFolder } from '../fixtures.js';

test('findAllocator() takes jemalloc from the first folder that has it', (context) => {
  const [empty, full] = [temporaryFolder(context), temporaryFolder(context)];
  const library = join(full, 'libjemalloc.so.2');
  writeFileSync(library, '');
  const { kind, environment } = findAllocator({ folders: [empty, full] });
  assert.equal(kind, 'jemalloc');
  assert.equal(environment.LD_PRELOAD, library);
});

test('findAllocator() takes glibc where there is no jemalloc, or where it is asked for', (context) => {
  const folder = temporaryFolder(context);
  assert.equal(findAllocator({ folders: [folder] }).kind, 'glibc');
  writeFileSync(join(folder, 'libjemalloc.so.2'), '');
  const { kind, environment } = findAllocator({ folders: [folder], wanted: 'glibc' });
  assert.equal(kind, 'glibc');
  assert.equal(environment.LD_PRELOAD, undefined);
});

test('findAllocator() names the folders where jemalloc was asked for and is missing', (context) => {
  const folder = temporaryFolder(context);
  assert.throws(
    () => findAllocator({ folders: [folder], wanted: 'jemalloc' }),
    new RegExp(`libjemalloc.so.2 is in none of ${folder}`),
  );
});

test('findAllocator() refuses a value of MAFAT_ALLOCATOR that it does not know', (context) => {
  const before = process.env.MAFAT_ALLOCATOR;
  context.after(() => {
    if (before === undefined) delete process.env.MAFAT_ALLOCATOR;
    else process.env.MAFAT_ALLOCATOR = before;
  });
  process.env.MAFAT_ALLOCATOR = 'tcmalloc';
  assert.throws(() => findAllocator(), /MAFAT_ALLOCATOR=tcmalloc: expected jemalloc or glibc/);
});

test('ExecutorClient runs with the allocator that was found, and the process that started it is left alone', async () => {
  const { kind } = findAllocator();
  const executor = await startExecutor();
  try {
    assert.equal(executor.allocator, kind);
    const maps = readText(`/proc/${executor.pid}/maps`) ?? '';
    assert.equal(maps.includes('libjemalloc'), kind === 'jemalloc');
    assert.ok(executor.idleBytes > 2 ** 20);
  } finally {
    await executor.stop();
  }
});
