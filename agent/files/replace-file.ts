/** Replaces a small file whole or not at all. */
import { randomUUID } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { flush } from './durable-folders.js';

/** The new content is on disk before it takes the old one's place. @throws if it can't be written; the old one stays then. */
export async function replaceFile(path: string, content: string): Promise<void> {
  const folder = dirname(path);
  const draft = join(folder, `.draft-${randomUUID()}`);
  try {
    await writeFile(draft, content, { flag: 'wx', mode: 0o644 });
    await flush(draft);
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
  await flush(folder);
}
