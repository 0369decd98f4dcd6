/**
 * The optimised models of one stored model, in `<model folder>/optimized/<key>/`. They are removed with the
 * model.
 *
 * Of two processes that make the same entry the second drops its own and uses the first one's.
 */
import { chmod, mkdir, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { DurableFolders, tolerate } from '../../files/durable-folders.js';
import type { OptimizedModel } from '../wire/protocol.js';
import type { EntrySummary } from './optimized-entry.js';
import { openEntry, sealEntry, summarizeEntry } from './optimized-entry.js';

/** Most entries of a model: a plan rarely has more than four sessions, and a device rarely more than eight plans. */
const MAX_ENTRIES = 32;

/** Most bytes of all entries, relative to the model's weights. The entries of one plan hold them about once. */
const MAX_RATIO = 4;

/** Least free space before an entry is written: weights may be padded to whole blocks, and others write, too. */
const SPARE_RATIO = 2;
const SPARE_BYTES = 32 * 2 ** 20;

export interface NewEntry {
  readonly weightsBytes: number;
  /** Writes model and data to a folder. */
  readonly write: (folder: string) => Promise<void>;
}

export interface PruneOptions {
  /** Keys in use, which stay whatever the limits say. */
  readonly keep: ReadonlySet<string>;
  /** Size of the stored model's weights. */
  readonly storedBytes: number;
  readonly maxEntries?: number;
}

export class OptimizedStore {
  readonly #folder: string;
  readonly #folders: DurableFolders;
  readonly #machine: string;

  constructor(modelFolder: string, machine: string) {
    this.#folder = join(modelFolder, 'optimized');
    this.#folders = new DurableFolders(this.#folder);
    this.#machine = machine;
  }

  /** The entry of a key; undefined unless it is whole and unchanged. A key names the machine, too. */
  async find(key: string): Promise<OptimizedModel | undefined> {
    return openEntry(join(this.#folder, key));
  }

  /** @throws {Error} if the folder can't be written, the disk is full, or `write` fails. */
  async create(key: string, { weightsBytes, write }: NewEntry): Promise<OptimizedModel> {
    // The parent isn't made: a model that was removed meanwhile must not come back as an empty folder.
    await mkdir(this.#folder).catch(tolerate('EEXIST'));
    await this.#folders.write(key, {
      write: async (draft) => {
        await this.#checkSpace(weightsBytes);
        await write(draft);
        await chmod(draft, 0o755);
        await sealEntry(draft, this.#machine);
      },
      isAsGood: async () => (await this.find(key)) !== undefined,
    });
    const made = await this.find(key);
    if (made === undefined)
      throw new Error(`Cannot keep ${join(this.#folder, key)}: it was removed or changed after it was made`);
    return made;
  }

  /** Removes broken entries, those of other machines, and the least recently used ones past the limits. */
  async prune({ keep, storedBytes, maxEntries = MAX_ENTRIES }: PruneOptions): Promise<void> {
    const entries = (await this.#entries()).map((entry) => ({ ...entry, isKept: keep.has(entry.key) }));
    const mostWanted = entries.sort(
      (one, other) => Number(other.isKept) - Number(one.isKept) || other.usedAtMs - one.usedAtMs,
    );
    let [count, bytes] = [0, 0];
    for (const entry of mostWanted) {
      const fits = count < maxEntries && bytes + entry.bytes <= MAX_RATIO * storedBytes;
      if (!entry.isKept && !(fits && entry.machine === this.#machine)) {
        await this.#folders.remove(entry.key);
        continue;
      }
      count += 1;
      bytes += entry.bytes;
    }
  }

  async #checkSpace(weightsBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#folder);
    const needBytes = SPARE_RATIO * weightsBytes + SPARE_BYTES;
    if (bavail * bsize >= needBytes) return;
    throw new Error(`Cannot write ${this.#folder}: ${bavail * bsize} bytes free, expected ${needBytes}`);
  }

  /** All whole entries. Anything else is removed once it is old. */
  async #entries(): Promise<(EntrySummary & { readonly key: string })[]> {
    await this.#folders.sweep();
    const found: (EntrySummary & { readonly key: string })[] = [];
    for (const key of await readdir(this.#folder)) {
      // Hidden folders are being written or removed.
      if (key.startsWith('.')) continue;
      const summary = await summarizeEntry(join(this.#folder, key));
      if (summary === undefined) await this.#folders.removeIfOld(key);
      else found.push({ ...summary, key });
    }
    return found;
  }
}
