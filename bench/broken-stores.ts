/** Opens stores that are broken in every way that was thought of, as the agent opens them, and uses them. */
import { chmodSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { MIGRATIONS } from '../agent/store/migrations.js';
import { Store } from '../agent/store/store.js';
import { mulberry32 } from '../shared/darknet/index.js';
import type { StoreProblem } from '../shared/wire/index.js';
import { faultsOf, writeGeneration } from './store-content.js';

export interface BrokenStore {
  readonly name: string;
  /** Kind of the problem that the store tells; none where the file could be used. */
  readonly kind: string;
  readonly place: 'a new file' | 'the same file' | 'memory' | 'the copy of before a migration';
  /** Whether all kinds of rows can be written and read. */
  readonly serves: boolean;
}

/** Generations in the store before it is broken. */
const GENERATIONS = 50;

/** User without any rights, as which root opens the file that can't be written. */
const NOBODY = 65_534;

const HEADER_BYTES = 100;
const PAGE_BYTES = 4096;

/** Breaks a good store at a path. */
type Break = (path: string) => void;

const BREAKS: Readonly<Record<string, Break>> = {
  truncated: (path) => truncateSync(path, readFileSync(path).length / 2),
  'truncated within a page': (path) => truncateSync(path, readFileSync(path).length - PAGE_BYTES / 2),
  'garbage as its header': (path) => overwrite(path, { at: 0, bytes: HEADER_BYTES }),
  'a garbage page in the middle': (path) => {
    const middle = Math.floor(readFileSync(path).length / PAGE_BYTES / 2);
    overwrite(path, { at: middle * PAGE_BYTES, bytes: PAGE_BYTES });
  },
  "another program's database": (path) => replaceBy(path, (database) => database.exec(FOREIGN)),
  "another program's database with its tables": (path) =>
    replaceBy(path, (database) => database.exec(`${FOREIGN} CREATE TABLE plans (name TEXT);`)),
  'a newer version': (path) => raiseVersion(path),
  'an empty file': (path) => truncateSync(path, 0),
  'no file': (path) => rmSync(path),
  'a folder in its place': (path) => {
    rmSync(path);
    mkdirSync(path);
  },
  'a folder in its place, not empty': (path) => {
    rmSync(path);
    mkdirSync(join(path, 'more'), { recursive: true });
  },
  'a read-only file and folder': (path) => {
    chmodSync(path, 0o444);
    chmodSync(join(path, '..'), 0o555);
  },
};

const FOREIGN = 'CREATE TABLE songs (title TEXT);';

function overwrite(path: string, { at, bytes }: { readonly at: number; readonly bytes: number }): void {
  const content = readFileSync(path);
  const random = mulberry32(1);
  for (let offset = at; offset < at + bytes; offset += 1) content[offset] = Math.floor(random() * 256);
  writeFileSync(path, content);
}

function replaceBy(path: string, fill: (database: Database.Database) => void): void {
  rmSync(path);
  const database = new Database(path);
  fill(database);
  database.close();
}

/** A later mafat has migrated the file, and made its copy before. */
function raiseVersion(path: string): void {
  const later = new Store(path, { migrations: [...MIGRATIONS, 'CREATE TABLE later (x INTEGER) STRICT;'] });
  later.start();
  later.stop();
}

/** Breaks a good store in each way and opens it. */
export function openBrokenStores(folder: string): readonly BrokenStore[] {
  // Another user must come to the files, where root opens them without its rights.
  chmodSync(folder, 0o755);
  return Object.entries(BREAKS).map(([name, breakStore], at) => {
    const path = join(folder, String(at), 'agent.db');
    writeGoodStore(path);
    breakStore(path);
    return name.startsWith('a read-only') ? withoutRights(() => tryStore(name, path)) : tryStore(name, path);
  });
}

function writeGoodStore(path: string): void {
  const store = new Store(path);
  store.start();
  for (let generation = 1; generation <= GENERATIONS; generation += 1) writeGeneration(store, generation);
  store.stop();
}

/** Root may write everything, so it does the work as nobody. */
function withoutRights<T>(work: () => T): T {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(NOBODY);
  try {
    return work();
  } finally {
    process.seteuid?.(0);
  }
}

function tryStore(name: string, path: string): BrokenStore {
  const errors: Error[] = [];
  const store = new Store(path, { replaces: true, onError: (error) => errors.push(error) });
  store.start();
  const { problem } = store;
  // Rows of before may be there or not; the next generation takes their place.
  for (const generation of [GENERATIONS + 1, GENERATIONS + 2]) writeGeneration(store, generation);
  const faults = faultsOf(store, GENERATIONS + 2);
  store.stop();
  return {
    name,
    kind: problem?.kind ?? 'none',
    place: placeOf(problem),
    serves: errors.length + faults.length === 0,
  };
}

function placeOf(problem: StoreProblem | undefined): BrokenStore['place'] {
  if (problem === undefined) return 'the same file';
  if (problem.isMemory) return 'memory';
  return problem.copyPath === null ? 'a new file' : 'the copy of before a migration';
}
