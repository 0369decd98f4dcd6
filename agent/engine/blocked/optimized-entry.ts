/**
 * One optimised model: model.onnx, model.onnx.data, and entry.json, which is written last and says what the
 * other two must be.
 *
 * The model file is small, and its checksum is verified each time. Reading the data file whole would take
 * seconds from an SD card, so its checksum, taken when it was made, is verified only if its size, time or
 * inode aren't as they were then: after a restore from a backup, say. Bits that rot under an unchanged inode
 * go unnoticed, as they do in the stored model itself.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { OptimizedModel } from '../wire/protocol.js';
import { OPTIMIZED_DATA, OPTIMIZED_MODEL } from './optimizer-settings.js';

export const ENTRY_FILE = 'entry.json';

const Entry = z.object({
  machine: z.string(),
  model: z.object({ size: z.number(), digest: z.string() }),
  data: z.object({ size: z.number(), digest: z.string(), mtimeMs: z.number(), ino: z.number() }),
});
type Entry = z.infer<typeof Entry>;

/** The time of entry.json is when the entry was last used; one write in this time is enough. */
const TOUCH_MS = 60 * 60_000;

/** Flushes a new model to disk, then describes it. Until they are flushed, mapped pages count as private memory. */
export async function sealEntry(folder: string, machine: string): Promise<void> {
  const [model, data] = [join(folder, OPTIMIZED_MODEL), join(folder, OPTIMIZED_DATA)];
  await flush(data);
  await flush(model);
  const { size } = await stat(model);
  await writeEntry(folder, {
    machine,
    model: { size, digest: await digestOf(model) },
    data: { ...(await stampOf(data)), digest: await digestOf(data) },
  });
}

/** The model, if it is whole and as it was made. */
export async function openEntry(folder: string): Promise<OptimizedModel | undefined> {
  return orUnusable(async () => {
    const entry = await readEntry(folder);
    const path = join(folder, OPTIMIZED_MODEL);
    if ((await stat(path)).size !== entry.model.size) return undefined;
    const model = await readFile(path);
    const digest = createHash('sha256').update(model).digest('hex');
    if (digest !== entry.model.digest || !(await isDataIntact(folder, entry))) return undefined;
    await touch(join(folder, ENTRY_FILE));
    return { model, folder };
  });
}

export interface EntrySummary {
  readonly machine: string;
  readonly bytes: number;
  readonly usedAtMs: number;
}

/** For housekeeping; undefined for what isn't an entry. */
export async function summarizeEntry(folder: string): Promise<EntrySummary | undefined> {
  return orUnusable(async () => {
    const { machine, model, data } = await readEntry(folder);
    const { mtimeMs: usedAtMs } = await stat(join(folder, ENTRY_FILE));
    return { machine, bytes: model.size + data.size, usedAtMs };
  });
}

async function isDataIntact(folder: string, entry: Entry): Promise<boolean> {
  const path = join(folder, OPTIMIZED_DATA);
  const stamp = await stampOf(path);
  const { size, mtimeMs, ino, digest } = entry.data;
  if (stamp.size !== size) return false;
  if (stamp.mtimeMs === mtimeMs && stamp.ino === ino) return true;
  if ((await digestOf(path)) !== digest) return false;
  await tolerateReadOnly(() => writeEntry(folder, { ...entry, data: { ...stamp, digest } }));
  return true;
}

async function readEntry(folder: string): Promise<Entry> {
  return Entry.parse(JSON.parse(await readFile(join(folder, ENTRY_FILE), 'utf8')));
}

async function writeEntry(folder: string, entry: Entry): Promise<void> {
  const draft = join(folder, `.${ENTRY_FILE}.${process.pid}`);
  await writeFile(draft, JSON.stringify(entry), { mode: 0o644 });
  await flush(draft);
  await rename(draft, join(folder, ENTRY_FILE));
  await flush(folder);
}

async function touch(path: string): Promise<void> {
  const nowMs = Date.now();
  if (nowMs - (await stat(path)).mtimeMs < TOUCH_MS) return;
  await tolerateReadOnly(() => utimes(path, nowMs / 1000, nowMs / 1000));
}

/** Files and folders alike are durable once they are flushed. */
export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function stampOf(path: string) {
  const { size, mtimeMs, ino } = await stat(path);
  return { size, mtimeMs, ino };
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** A model that can be read can be used, whoever owns it. */
async function tolerateReadOnly(write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!['EROFS', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Files that are missing, unreadable or not what they should be make no entry. */
async function orUnusable<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const isExpected =
      error instanceof SyntaxError ||
      error instanceof z.ZodError ||
      (error as NodeJS.ErrnoException).code !== undefined;
    if (!isExpected) throw error;
    return undefined;
  }
}
