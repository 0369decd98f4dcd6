/**
 * One optimised model: model.onnx, model.onnx.data, and entry.json, which says what the other two must be.
 *
 * The model file is small, so that its checksum is verified at each load. Reading the data file whole would
 * take seconds from an SD card: only its size, time and inode are compared. If they differ, after a restore
 * from a backup for example, the entry counts as broken and is made again. Bits that rot under an unchanged
 * inode go unnoticed, as they do in the stored model itself.
 */
import { createHash } from 'node:crypto';
import { readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ValueOf } from '../../../shared/rules/index.js';
import { number, openMap, text } from '../../../shared/rules/index.js';
import { tolerate } from '../../files/durable-folders.js';
import type { OptimizedModel } from '../wire/protocol.js';
import { OPTIMIZED_DATA, OPTIMIZED_MODEL } from '../wire/protocol.js';

const ENTRY_FILE = 'entry.json';

const checkEntry = openMap({
  machine: text(),
  model: openMap({ size: number(), digest: text() }),
  data: openMap({ size: number(), mtimeMs: number(), ino: number() }),
});
type Entry = ValueOf<typeof checkEntry>;

/** Least time in ms between two updates of the time of last use, which is the time of entry.json. */
const TOUCH_MS = 60 * 60_000;

/** Describes the two files that a folder holds. */
export async function sealEntry(folder: string, machine: string): Promise<void> {
  const model = await readFile(join(folder, OPTIMIZED_MODEL));
  const entry: Entry = {
    machine,
    model: { size: model.byteLength, digest: digestOf(model) },
    data: await stampOf(join(folder, OPTIMIZED_DATA)),
  };
  await writeFile(join(folder, ENTRY_FILE), JSON.stringify(entry), { mode: 0o644 });
}

/** The model of an entry; undefined if a file is missing or isn't as it was made. */
export async function openEntry(folder: string): Promise<OptimizedModel | undefined> {
  return orUnusable(async () => {
    const entry = await readEntry(folder);
    const path = join(folder, OPTIMIZED_MODEL);
    // The size is compared first, so that a file of any size isn't read.
    if ((await stat(path)).size !== entry.model.size) return undefined;
    const model = await readFile(path);
    if (digestOf(model) !== entry.model.digest || !(await isDataSame(folder, entry))) return undefined;
    await touch(join(folder, ENTRY_FILE));
    return { model, folder };
  });
}

export interface EntrySummary {
  readonly machine: string;
  readonly bytes: number;
  readonly usedAtMs: number;
}

/** Size and last use of an entry; undefined if its description can't be read. */
export async function summarizeEntry(folder: string): Promise<EntrySummary | undefined> {
  return orUnusable(async () => {
    const { machine, model, data } = await readEntry(folder);
    const { mtimeMs: usedAtMs } = await stat(join(folder, ENTRY_FILE));
    return { machine, bytes: model.size + data.size, usedAtMs };
  });
}

async function isDataSame(folder: string, { data }: Entry): Promise<boolean> {
  const { size, mtimeMs, ino } = await stampOf(join(folder, OPTIMIZED_DATA));
  return size === data.size && mtimeMs === data.mtimeMs && ino === data.ino;
}

async function readEntry(folder: string): Promise<Entry> {
  const checked = checkEntry(JSON.parse(await readFile(join(folder, ENTRY_FILE), 'utf8')));
  if (checked.isValid) return checked.value;
  throw new SyntaxError(
    `Cannot use ${join(folder, ENTRY_FILE)}: it isn't of the form that this version writes`,
  );
}

/** Notes the time of use. A model that can be read can be used, even where this process can't write. */
async function touch(path: string): Promise<void> {
  const nowMs = Date.now();
  if (nowMs - (await stat(path)).mtimeMs < TOUCH_MS) return;
  await utimes(path, nowMs / 1000, nowMs / 1000).catch(tolerate('EROFS', 'EACCES', 'EPERM'));
}

async function stampOf(path: string): Promise<Entry['data']> {
  const { size, mtimeMs, ino } = await stat(path);
  return { size, mtimeMs, ino };
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The result of reading an entry; undefined where a file is missing, unreadable or malformed. */
async function orUnusable<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const isExpected = error instanceof SyntaxError || (error as NodeJS.ErrnoException).code !== undefined;
    if (!isExpected) throw error;
    return undefined;
  }
}
