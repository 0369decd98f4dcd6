import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { MIGRATIONS } from '../../agent/store/migrations.js';
import type { FrontKey, StoredCosts, StoredFront } from '../../agent/store/store.js';
import { Store } from '../../agent/store/store.js';
import { temporaryFolder } from '../fixtures.js';

const MODEL = { modelDigest: 'sha256:1', width: 608, height: 608 };

const KEY: FrontKey = {
  ...MODEL,
  planner: '1',
  choice: '{}',
  weights: 'resident',
  profile: 'built-in',
  allocator: 'glibc',
};

const SETTINGS = { level: 'extended', allocator: 'glibc', threads: 2 } as const;

const FRONT: StoredFront = {
  points: [
    {
      notation: '2x2',
      settings: SETTINGS,
      predicted: { workingBytes: 30, weightsBytes: 10, peakBytes: 40, latencyMs: 1.5 },
    },
  ],
  complete: false,
};

test('Store.findFront() finds after a restart what was saved, by its whole key', (context) => {
  const { path, store } = startStore(context);
  store.saveFront(KEY, FRONT, 1);
  store.saveFront({ ...KEY, allocator: 'jemalloc' }, { ...FRONT, complete: true }, 1);
  store.stop();
  const again = new Store(path);
  again.start();
  assert.deepEqual(again.findFront(KEY), FRONT);
  assert.equal(again.findFront({ ...KEY, allocator: 'jemalloc' })?.complete, true);
  assert.equal(again.findFront({ ...KEY, profile: 'measured' }), undefined);
  again.stop();
});

test('Store.saveFront() replaces the front of the same key, and those of other planners and costs', (context) => {
  const { store } = startStore(context);
  store.saveFront(KEY, FRONT, 1);
  store.saveFront(KEY, { ...FRONT, complete: true }, 2);
  assert.equal(store.findFront(KEY)?.complete, true);
  store.saveFront({ ...KEY, planner: '2' }, FRONT, 3);
  assert.equal(store.findFront(KEY), undefined);
});

test('Store.experiencesOf() finds after a restart what was saved of a model, the last of each plan', (context) => {
  const { path, store } = startStore(context);
  store.saveExperience(MODEL, { plan: 'a', correction: 1.2, barredBytes: 0 }, 1);
  store.saveExperience(MODEL, { plan: 'a', correction: 1.5, barredBytes: 64 }, 2);
  store.saveExperience({ ...MODEL, width: 320 }, { plan: 'a', correction: 2, barredBytes: 0 }, 2);
  store.stop();
  const again = new Store(path);
  again.start();
  assert.deepEqual(again.experiencesOf(MODEL), [{ plan: 'a', correction: 1.5, barredBytes: 64 }]);
  again.stop();
});

test('Store.dropBefore() thins measurements and events, not fronts', (context) => {
  const { store } = startStore(context);
  const measurement = {
    model: 'm',
    notation: '2x2',
    ...SETTINGS,
    predictedBytes: 1,
    measuredBytes: 2,
    predictedMs: 2,
    latencyMs: 3,
  };
  for (const at of [1, 2, 3]) {
    store.addMeasurement(measurement, at);
    store.addEvent({ kind: 'replan', detail: String(at) }, at);
  }
  store.saveFront(KEY, FRONT, 1);
  assert.equal(store.dropBefore(3), 4);
  assert.deepEqual(store.measurements(10), [{ ...measurement, atMs: 3 }]);
  assert.deepEqual(store.events(10), [{ atMs: 3, kind: 'replan', detail: '3' }]);
  assert.ok(store.findFront(KEY));
});

test('Store.costsOf() finds after a restart what was saved for that device, by threads and kernels', (context) => {
  const { path, store } = startStore(context);
  const entries = [costsOf('plain', 2), costsOf('plain', 1), costsOf('blocked', 2)];
  store.saveCosts('board', entries);
  store.saveCosts('other', [costsOf('plain', 4)]);
  store.stop();
  const again = new Store(path);
  again.start();
  assert.deepEqual(again.costsOf('board'), [costsOf('plain', 1), costsOf('blocked', 2), costsOf('plain', 2)]);
  assert.deepEqual(again.costsOf('other'), [costsOf('plain', 4)]);
  assert.deepEqual(again.costsOf('third'), []);
  again.stop();
});

test('Store.saveCosts() replaces all costs of that device and of no other', (context) => {
  const { store } = startStore(context);
  for (const device of ['board', 'other'])
    store.saveCosts(device, [costsOf('plain', 1), costsOf('plain', 2)]);
  store.saveCosts('board', [costsOf('blocked', 4, 7)]);
  assert.deepEqual(store.costsOf('board'), [costsOf('blocked', 4, 7)]);
  assert.equal(store.costsOf('other').length, 2);
  assert.equal(store.dropBefore(1000), 0, 'costs are no statistics');
  assert.equal(store.costsOf('board').length, 1);
});

test('Store.saveCosts() throws and keeps what there was when SQLite refuses', (context) => {
  const { store } = startStore(context);
  store.saveCosts('board', [costsOf('plain', 1)]);
  const twice = [costsOf('plain', 2), costsOf('plain', 2)];
  assert.throws(() => store.saveCosts('board', twice), /Cannot save costs in .*agent\.db/);
  assert.deepEqual(store.costsOf('board'), [costsOf('plain', 1)]);
});

test('Store.start() drops plans and measurements of retained memory, and keeps the others', (context) => {
  const path = join(temporaryFolder(context), 'agent.db');
  const older = new Store(path, { migrations: MIGRATIONS.slice(0, 3) });
  older.start();
  older.stop();
  const database = new Database(path);
  const insert = database.prepare(
    `INSERT INTO measurements (at_ms, model, notation, predicted_bytes, measured_bytes, predicted_ms, latency_ms, level, malloc, threads)
     VALUES (1, 'net', 'whole', 1, 1, 1, 1, 'all', ?, 1)`,
  );
  insert.run('retained');
  insert.run('trimmed');
  database.close();
  const store = new Store(path);
  store.start();
  context.after(() => store.stop());
  assert.deepEqual(
    store.measurements(10).map(({ allocator }) => allocator),
    ['glibc'],
  );
});

test('Store.start() migrates an older file and keeps a copy of it', (context) => {
  const { path, store } = startStore(context);
  store.saveFront(KEY, FRONT, 1);
  store.stop();
  const newer = new Store(path, { migrations: [...MIGRATIONS, 'CREATE TABLE more (x INTEGER)'] });
  newer.start();
  assert.ok(newer.findFront(KEY));
  newer.stop();
  assert.ok(existsSync(`${path}.v${MIGRATIONS.length}`));
  assert.throws(() => new Store(path).start(), /its version is \d+, this mafat knows up to \d+/);
});

test('Store.start() leaves the file as it was when a migration fails', (context) => {
  const { path, store } = startStore(context);
  store.stop();
  const broken = new Store(path, { migrations: [...MIGRATIONS, 'CREATE TABLE fronts (x)'] });
  assert.throws(() => broken.start(), /already exists/);
  const again = new Store(path);
  again.start();
  again.stop();
});

test('Store.start() refuses what is no database', (context) => {
  const path = join(temporaryFolder(context), 'agent.db');
  writeFileSync(path, 'not a database, but long enough to look at'.repeat(50));
  assert.throws(() => new Store(path).start(), /not a database/);
});

test('Store.start() sets a broken file aside where it may, says so, and has a new one', async (context) => {
  const good = startStore(context);
  good.store.saveFront(KEY, FRONT, 1);
  good.store.stop();
  const content = readFileSync(good.path);
  const damages: Readonly<Record<string, Buffer>> = {
    truncated: content.subarray(0, content.length / 2),
    'without its header': Buffer.concat([randomBytes(100), content.subarray(100)]),
    'damaged inside': Buffer.concat([content.subarray(0, 4096), randomBytes(8192), content.subarray(12_288)]),
    foreign: Buffer.from('hello'),
  };
  for (const [name, damaged] of Object.entries(damages)) {
    await context.test(name, (inner) => {
      const path = join(temporaryFolder(inner), 'agent.db');
      writeFileSync(path, damaged);
      const store = new Store(path, { replaces: true });
      store.start();
      const { kind, asidePath, isMemory } = store.problem ?? {};
      assert.deepEqual({ kind, isMemory }, { kind: 'broken', isMemory: false });
      assert.deepEqual(readFileSync(asidePath ?? ''), damaged);
      store.saveFront(KEY, FRONT, 1);
      store.stop();
      const again = new Store(path, { replaces: true });
      again.start();
      assert.equal(again.problem, undefined);
      assert.deepEqual(again.findFront(KEY), FRONT);
      again.stop();
    });
  }
});

// It got our tables before, or was served from memory at each start if a table had the name of ours.
test("Store.start() sets another program's database aside", async (context) => {
  for (const table of ['songs', 'plans']) {
    await context.test(table, (inner) => {
      const path = join(temporaryFolder(inner), 'agent.db');
      const foreign = new Database(path);
      foreign.exec(`CREATE TABLE ${table} (title TEXT)`);
      foreign.close();
      const store = new Store(path, { replaces: true });
      store.start();
      const { kind, asidePath, isMemory } = store.problem ?? {};
      assert.deepEqual({ kind, isMemory }, { kind: 'broken', isMemory: false });
      store.stop();
      const aside = new Database(asidePath ?? '', { readonly: true });
      assert.deepEqual(aside.prepare('SELECT name FROM sqlite_schema').pluck().all(), [table]);
      aside.close();
    });
  }
});

test('Store.start() goes back to the copy of before a newer version migrated the file', (context) => {
  const { path, store } = startStore(context);
  store.saveFront(KEY, FRONT, 1);
  store.stop();
  const newer = new Store(path, { migrations: [...MIGRATIONS, 'CREATE TABLE later (x INTEGER) STRICT;'] });
  newer.start();
  newer.stop();
  assert.throws(() => new Store(path).start(), /its version is \d+, this mafat knows up to/);
  const older = new Store(path, { replaces: true });
  older.start();
  const { kind, copyPath, asidePath } = older.problem ?? {};
  assert.equal(kind, 'newer');
  assert.equal(copyPath, `${path}.v${MIGRATIONS.length}`);
  assert.ok(existsSync(asidePath ?? ''));
  assert.deepEqual(older.findFront(KEY), FRONT);
  older.stop();
});

test('Store.start() serves from memory what a disk that cannot be written holds', async (context) => {
  const { path, store } = startStore(context);
  store.saveFront(KEY, FRONT, 1);
  store.stop();
  await context.test('no folder can be made', () => {
    const lost = new Store(join(path, 'agent.db'), { replaces: true });
    lost.start();
    assert.equal(lost.problem?.kind, 'unusable');
    assert.ok(lost.problem?.isMemory);
    lost.saveFront(KEY, FRONT, 1);
    assert.deepEqual(lost.findFront(KEY), FRONT);
    lost.stop();
  });
  const skip = mountSkip();
  await context.test('read-only', { skip }, (inner) => {
    const folder = mountSmall(inner, '1m');
    cpSync(path, join(folder, 'agent.db'));
    execFileSync('mount', ['-o', 'remount,ro', folder]);
    const fixed = new Store(join(folder, 'agent.db'), { replaces: true });
    fixed.start();
    assert.equal(fixed.problem?.kind, 'unusable');
    assert.deepEqual(fixed.findFront(KEY), FRONT);
    fixed.saveFront({ ...KEY, weights: 'evictable' }, FRONT, 1);
    assert.deepEqual(fixed.findFront({ ...KEY, weights: 'evictable' }), FRONT);
    fixed.stop();
  });
  await context.test('full', { skip }, (inner) => {
    const folder = mountSmall(inner, '64k');
    writeFileSync(join(folder, 'filler'), Buffer.alloc(60 * 1024));
    const full = new Store(join(folder, 'agent.db'), { replaces: true });
    full.start();
    assert.equal(full.problem?.kind, 'unusable');
    full.saveFront(KEY, FRONT, 1);
    assert.deepEqual(full.findFront(KEY), FRONT);
    full.stop();
  });
});

test('Store.findAnswer() finds after a restart what was saved', (context) => {
  const { path, store } = startStore(context);
  const key = { modelDigest: 'sha256:1', width: 8, height: 8, level: 'all', threads: 2, device: 'x' };
  const answer = { answer: { digest: 'd', samples: Float32Array.of(1, 0.1, Number.NaN) }, source: 'whole' };
  store.saveAnswer(key, answer, 1);
  store.stop();
  const again = new Store(path);
  again.start();
  assert.deepEqual(again.findAnswer(key), answer);
  assert.equal(again.findAnswer({ ...key, level: 'basic' }), undefined);
  again.stop();
});

test('Store.dropBefore() keeps tables from growing without end', (context) => {
  const { store } = startStore(context);
  for (let at = 0; at < 300; at += 1) store.saveFront({ ...KEY, modelDigest: `sha256:${at}` }, FRONT, at);
  assert.equal(store.dropBefore(0), 100);
  assert.equal(store.findFront({ ...KEY, modelDigest: 'sha256:99' }), undefined);
  assert.deepEqual(store.findFront({ ...KEY, modelDigest: 'sha256:100' }), FRONT);
});

test('Store reports what SQLite refuses, and goes on', (context) => {
  const errors: string[] = [];
  const { path } = startStore(context);
  const store = new Store(path, { onError: ({ message }) => errors.push(message) });
  store.start();
  const other = new Database(path);
  other.exec('DROP TABLE fronts; DROP TABLE events');
  other.close();
  store.saveFront(KEY, FRONT, 1);
  store.addEvent({ kind: 'a', detail: 'b' }, 1);
  assert.equal(store.findFront(KEY), undefined);
  assert.deepEqual(store.events(1), []);
  assert.equal(errors.length, 4);
  assert.match(errors[0] ?? '', /Cannot save a front in .*agent\.db: no such table: fronts \(SQLITE_ERROR\)/);
  store.stop();
});

test('Store.stop() may be called again; nothing can be stored after it', (context) => {
  const { store } = startStore(context);
  store.stop();
  store.stop();
  assert.throws(() => store.addEvent({ kind: 'a', detail: 'b' }, 1), /isn't started/);
});

function startStore(context: TestContext): { path: string; store: Store } {
  const path = join(temporaryFolder(context), 'state', 'agent.db');
  const store = new Store(path);
  store.start();
  context.after(() => store.stop());
  return { path, store };
}

function costsOf(kernels: string, threads: number, measuredMs = 1): StoredCosts {
  return { kernels, threads, costs: `{"steps":${threads}}`, measuredMs };
}

/** Why no file system can be mounted; false if one can. */
function mountSkip(): string | false {
  return process.getuid?.() === 0 && process.platform === 'linux'
    ? false
    : 'needs root to mount a small disk';
}

/** A disk of its own size, in memory. */
function mountSmall(context: TestContext, size: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'mafat-test-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
  context.after(() => {
    execFileSync('umount', [folder]);
    rmdirSync(folder);
  });
  return folder;
}
