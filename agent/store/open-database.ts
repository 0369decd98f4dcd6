/**
 * Opens the store's file, whatever state it is in. The store is a memory, not a condition: a file that can't be used is
 * set aside, and a disk that can't be written is replaced by memory.
 *
 * - broken (no database, damaged, another program's): renamed to `<file>.broken-<time>`; a new file takes its place.
 * - newer (written by a later mafat): the same, and the copy that was made before that migration takes its place.
 * - unusable (read-only, full or failing disk, missing folder): what can be read of it is served from memory.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import type { StoreProblem } from '../../shared/wire/index.js';

export interface OpenedDatabase {
  readonly database: Database.Database;
  readonly problem?: StoreProblem;
}

/** The file was written by a later version. */
export class NewerStoreError extends RangeError {}

/** Time in ms that a writer waits for another process's lock. The agent stands still meanwhile. */
export const BUSY_MS = 200;

/** Largest file that is served from memory. */
const MAX_MEMORY_BYTES = 16 * 2 ** 20;

/**
 * Codes of SQLite for a file whose content is wrong; SQLITE_ERROR is a schema that isn't ours. All others are the disk's
 * or the system's.
 */
const BROKEN_CODES = /^SQLITE_(CORRUPT|NOTADB|ERROR$)/;

/** Places in the header of a file that say by which kind of journal it is written and read; 1 is the plain one. */
const JOURNAL_BYTES = [18, 19] as const;

/** Brings an opened database up to date. @throws {NewerStoreError | SqliteError} */
export type Upgrade = (database: Database.Database, file: { readonly isNew: boolean }) => void;

/** @throws what SQLite says, if the file can't be opened and used. */
export function openFile(path: string, upgrade: Upgrade): Database.Database {
  mkdirSync(dirname(path), { recursive: true });
  const isNew = !existsSync(path);
  const database = new Database(path, { timeout: BUSY_MS });
  try {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = NORMAL');
    const state = database.pragma('quick_check(1)', { simple: true });
    if (state !== 'ok') throw new Database.SqliteError(String(state), 'SQLITE_CORRUPT');
    upgrade(database, { isNew });
    // A file system that has become read-only is found by writing, not by opening.
    database.exec('BEGIN IMMEDIATE; ROLLBACK');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Always opens something. @param newest version of the schema. */
export function openAnyhow(path: string, upgrade: Upgrade, newest: number): OpenedDatabase {
  try {
    return { database: openFile(path, upgrade) };
  } catch (error) {
    const kind = kindOf(error);
    const reason = error instanceof Error ? error.message : String(error);
    return (
      (kind === 'unusable' ? undefined : replaceFile(path, { kind, reason, upgrade, newest })) ??
      openMemory(path, { kind, reason, upgrade })
    );
  }
}

function kindOf(error: unknown): StoreProblem['kind'] {
  if (error instanceof NewerStoreError) return 'newer';
  return error instanceof Database.SqliteError && BROKEN_CODES.test(error.code) ? 'broken' : 'unusable';
}

interface Fault {
  readonly kind: StoreProblem['kind'];
  readonly reason: string;
  readonly upgrade: Upgrade;
}

/** Sets the file aside and opens another one in its place; undefined if that can't be done. */
function replaceFile(
  path: string,
  { kind, reason, upgrade, newest }: Fault & { readonly newest: number },
): OpenedDatabase | undefined {
  try {
    const asidePath = `${path}.broken-${new Date().toISOString().replaceAll(':', '')}`;
    setAside(path, asidePath);
    const copyPath = kind === 'newer' ? copyOf(path, newest) : null;
    if (copyPath !== null) copyFileSync(copyPath, path);
    const database = openFile(path, upgrade);
    return { database, problem: { kind, reason, asidePath, copyPath, isMemory: false } };
  } catch {
    return undefined;
  }
}

/** The journal goes with its file, since it belongs to no other. */
function setAside(path: string, asidePath: string): void {
  renameSync(path, asidePath);
  for (const end of ['-wal', '-shm']) if (existsSync(path + end)) renameSync(path + end, asidePath + end);
}

/** The latest copy that this version can read. */
function copyOf(path: string, newest: number): string | null {
  for (let version = newest; version > 0; version -= 1)
    if (existsSync(backupPath(path, version))) return backupPath(path, version);
  return null;
}

/** Copy of the file that is made before it is migrated from a version. */
export function backupPath(path: string, version: number): string {
  return `${path}.v${version}`;
}

function openMemory(path: string, { kind, reason, upgrade }: Fault): OpenedDatabase {
  const problem = { kind, reason, asidePath: null, copyPath: null, isMemory: true } as const;
  if (kind === 'unusable') {
    try {
      const database = new Database(contentOf(path));
      upgrade(database, { isNew: true });
      return { database, problem };
    } catch {
      // What can't be read is searched and measured again.
    }
  }
  const database = new Database(':memory:');
  upgrade(database, { isNew: true });
  return { database, problem };
}

/** The content of a file as a database in memory, which can't have a journal of its own. */
function contentOf(path: string): Buffer {
  const { size } = statSync(path);
  if (size > MAX_MEMORY_BYTES) throw new RangeError(`Cannot read ${path}: ${size} bytes`);
  const content = readFileSync(path);
  for (const at of JOURNAL_BYTES) content[at] = 1;
  return content;
}
