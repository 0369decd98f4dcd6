/**
 * Folders that appear whole or not at all, and disappear the same way.
 *
 * 1. A new folder is written under a hidden name next to its place.
 * 2. Its files and the folder itself are flushed to disk.
 * 3. The folder is renamed. If its place is taken, the old folder is moved to a hidden name first.
 *
 * A crash leaves a hidden folder, never a half one in place. The next write sweeps what earlier crashes left.
 * An old folder whose successor never came is put back then. Two writers of one name don't wait for each
 * other.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Names of folders that are being written, replaced or removed. */
const HIDDEN = /^\.(draft|replaced|remove)-/;

/** Age in ms of a crash's leftover. A younger folder may belong to a process that is still writing it. */
const SWEEP_AFTER_MS = 60 * 60_000;

export interface NewFolder<T> {
  /** Fills the draft with files. The draft is removed if this throws. */
  readonly write: (draft: string) => Promise<T>;
  /** Whether a folder that has taken the place meanwhile is as good as the new one. By default it is replaced. */
  readonly isAsGood?: () => Promise<boolean>;
}

/** The durable folders within one parent folder, which must exist. */
export class DurableFolders {
  readonly #parent: string;

  constructor(parent: string) {
    this.#parent = parent;
  }

  /**
   * Makes a folder.
   * @returns what `write` returned.
   * @throws what `write` throws; the old folder stays then.
   */
  async write<T>(name: string, { write, isAsGood = async () => false }: NewFolder<T>): Promise<T> {
    // Leftovers go first, because they may be what fills the disk.
    await this.sweep();
    const draft = await mkdtemp(join(this.#parent, '.draft-'));
    try {
      const written = await write(draft);
      for (const file of await readdir(draft)) await flush(join(draft, file));
      await flush(draft);
      await this.#moveIntoPlace(name, { draft, isAsGood });
      return written;
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  /** Removes a folder, or a file in its place. Nothing happens if there is none. */
  async remove(name: string): Promise<void> {
    // A rename needs no space, so that room can be made on a full disk.
    const trash = join(this.#parent, `.remove-${randomUUID()}`);
    await rename(join(this.#parent, name), trash).catch(tolerate('ENOENT'));
    await rm(trash, { recursive: true, force: true });
  }

  /** Removes a folder that nothing has changed for so long that no process can be writing it. */
  async removeIfOld(name: string): Promise<void> {
    if (await this.#isOld(name)) await this.remove(name);
  }

  /** Removes what crashes left, and puts an old folder back if its successor never came. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.#parent)) {
      if (!HIDDEN.test(name) || !(await this.#isOld(name))) continue;
      if (name.startsWith('.replaced-')) await this.#restore(name);
      await rm(join(this.#parent, name), { recursive: true, force: true });
    }
  }

  async #moveIntoPlace(
    name: string,
    { draft, isAsGood }: { readonly draft: string; readonly isAsGood: () => Promise<boolean> },
  ): Promise<void> {
    try {
      await rename(draft, join(this.#parent, name));
    } catch (error) {
      tolerate(...TAKEN)(error as NodeJS.ErrnoException);
      if (await isAsGood()) return;
      await this.#replace(name, draft);
    }
    // The rename is durable once the parent is flushed.
    await flush(this.#parent);
  }

  async #replace(name: string, draft: string): Promise<void> {
    const place = join(this.#parent, name);
    const replaced = await mkdtemp(join(this.#parent, '.replaced-'));
    await rename(place, join(replaced, name)).catch(tolerate('ENOENT'));
    try {
      await rename(draft, place);
    } catch (error) {
      await rename(join(replaced, name), place).catch(tolerate('ENOENT', ...TAKEN));
      throw error;
    }
    await flush(this.#parent);
    await rm(replaced, { recursive: true });
  }

  async #restore(replaced: string): Promise<void> {
    for (const name of await readdir(join(this.#parent, replaced))) {
      const place = join(this.#parent, name);
      const successor = await stat(place).catch(tolerate('ENOENT'));
      if (successor === undefined) await rename(join(this.#parent, replaced, name), place);
    }
  }

  async #isOld(name: string): Promise<boolean> {
    const info = await stat(join(this.#parent, name)).catch(tolerate('ENOENT'));
    return info !== undefined && Date.now() - info.mtimeMs >= SWEEP_AFTER_MS;
  }
}

/** Error codes of a rename to a place that holds a folder with files, or a file. */
const TAKEN = ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'] as const;

/** Writes a file or a folder to disk. A file's name is durable only once its folder is flushed, too. */
export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A handler that lets errors of these codes pass, as undefined, and throws all others. */
export function tolerate(...codes: readonly string[]): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (!codes.includes(error.code ?? '')) throw error;
    return undefined;
  };
}
