import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Sources } from './architecture.js';
import { findBreaches, findCircle, LIBRARIES, ROOMS } from './architecture.js';
import { project } from './fixtures.js';

function readSources(): Map<string, string> {
  const files = ['agent', 'shared'].flatMap((folder) =>
    readdirSync(join(project, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => `${folder}/${file}`),
  );
  return new Map(files.map((file) => [file, readFileSync(join(project, file), 'utf8')]));
}

const SOURCES: Sources = readSources();

/** Breaches that come with one more file. */
function breachesWith(file: string, text: string): readonly string[] {
  const known = new Set(findBreaches(SOURCES));
  return findBreaches(new Map([...SOURCES, [file, text]])).filter((breach) => !known.has(breach));
}

test('no import goes against a wall', () => {
  assert.deepEqual(findBreaches(SOURCES), []);
});

test('the table of walls has no circle, and no row without a room', () => {
  assert.equal(findCircle(), undefined);
  const rooms = new Set([...SOURCES.keys()].flatMap((file) => [file, file.slice(0, file.lastIndexOf('/'))]));
  assert.deepEqual(
    Object.keys(ROOMS).filter((room) => !rooms.has(room)),
    [],
  );
});

test('findCircle() finds a circle of rooms', () => {
  const rooms = { a: { imports: ['b'] }, b: { imports: ['c'] }, c: { imports: ['b'] } };
  assert.equal(findCircle(rooms), 'b -> c -> b');
});

test('findBreaches() finds an import against a wall, of types too', () => {
  const text = "import type { Config } from '../config/config-schema.js';\n";
  assert.deepEqual(breachesWith('agent/store/new.ts', text), [
    'agent/store/new.ts imports agent/config/config-schema.ts: agent/store may not import agent/config',
  ]);
});

test('findBreaches() finds a room that is reached through others', () => {
  const sources = new Map(SOURCES);
  sources.set('agent/decode/new.ts', "import { Store } from '../store/store.js';\n");
  sources.set('agent/serve/new.ts', "import { x } from '../decode/new.js';\n");
  const breaches = findBreaches(sources);
  assert.ok(
    breaches.includes(
      'agent/serve/new.ts reaches agent/store/store.ts: agent/serve may never reach agent/store',
    ),
    breaches.join('\n'),
  );
});

test('findBreaches() finds a folder without a row', () => {
  assert.deepEqual(breachesWith('agent/peers/offer.ts', ''), [
    'agent/peers has no row in test/architecture.ts',
  ]);
});

test('findBreaches() finds a library outside of its one file', () => {
  const breaches = breachesWith('agent/camera/new.ts', "import sharp from 'sharp';\n");
  assert.deepEqual(breaches, ['agent/camera/new.ts imports sharp: only agent/engine/child/image.ts may']);
});

test('each place that may import a library does', () => {
  for (const [library, places] of Object.entries(LIBRARIES)) {
    for (const place of places) {
      const files = [...SOURCES].filter(([file]) => file.startsWith(place));
      assert.ok(
        files.some(([, text]) => text.includes(`'${library}`)),
        `${place} doesn't import ${library}`,
      );
    }
  }
});
