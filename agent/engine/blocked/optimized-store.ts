/**
 * The optimised models of one stored model: `<model folder>/optimized/<key>/`. They go when the model goes.
 *
 * An entry appears whole or not at all: it is written to a hidden folder, flushed, and renamed. Of two
 * processes that make the same one the second finds the place taken and uses what is there.
 */
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { OptimizedModel } from '../wire/protocol.js';
import type { EntrySummary } from './optimized-entry.js';
import { ENTRY_FILE, flush, openEntry, sealEntry, summarizeEntry } from './optimized-entry.js';

/** Longer than saving takes on the slowest board: a younger draft may belong to a process that is still at it. */
const SWEEP_AFTER_MS = 60 * 60_000;

const DRAFT = '.draft-';

/** A plan has rarely more sessions than four, and a device rarely more plans than eight. */
const MAX_ENTRIES = 32;

/** A plan's entries hold about the weights of the model once: this many plans fit on the card. */
const MAX_RATIO = 4;

/** What an entry needs on disk beside its weights, which may be padded to whole blocks, and what others need. */
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
  readonly #machine: string;

  constructor(modelFolder: string, machine: string) {
    this.#folder = join(modelFolder, 'optimized');
    this.#machine = machine;
  }

  /** Only one that is whole, unchanged and of this machine. */
  async find(key: string): Promise<OptimizedModel | undefined> {
    return openEntry(join(this.#folder, key));
  }

  /** @throws {Error} if the folder can't be written, the disk is full, or `write` fails. */
  async create(key: string, { weightsBytes, write }: NewEntry): Promise<OptimizedModel> {
    const draft = await this.#draft(weightsBytes);
    try {
      await write(draft);
      await chmod(draft, 0o755);
      await sealEntry(draft, this.#machine);
      await this.#moveIntoPlace(draft, key);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
    const made = await this.find(key);
    if (made === undefined) throw new Error(`Cannot keep ${join(this.#folder, key)}: removed while made`);
    return made;
  }

  /** Removes what no longer counts: broken entries, those of other machines, and the least recently used. */
  async prune({ keep, storedBytes, maxEntries = MAX_ENTRIES }: PruneOptions): Promise<void> {
    const entries = (await this.#entries()).map((entry) => ({ ...entry, isKept: keep.has(entry.key) }));
    const mostWanted = entries.sort(
      (one, other) => Number(other.isKept) - Number(one.isKept) || other.usedAtMs - one.usedAtMs,
    );
    let [count, bytes] = [0, 0];
    for (const entry of mostWanted) {
      const fits = count < maxEntries && bytes + entry.bytes <= MAX_RATIO * storedBytes;
      if (!entry.isKept && !(fits && entry.machine === this.#machine)) {
        await this.#remove(entry.key);
        continue;
      }
      count += 1;
      bytes += entry.bytes;
    }
  }

  async #draft(weightsBytes: number): Promise<string> {
    await mkdir(this.#folder).catch(tolerate('EEXIST'));
    await this.#sweepDrafts();
    const { bavail, bsize } = await statfs(this.#folder);
    const needBytes = SPARE_RATIO * weightsBytes + SPARE_BYTES;
    if (bavail * bsize < needBytes) {
      throw new Error(`Cannot write ${this.#folder}: ${bavail * bsize} bytes free, expected ${needBytes}`);
    }
    return mkdtemp(join(this.#folder, DRAFT));
  }

  /** A place that is taken holds what another process has just made, or something broken. */
  async #moveIntoPlace(draft: string, key: string): Promise<void> {
    const place = join(this.#folder, key);
    try {
      await rename(draft, place);
    } catch (error) {
      tolerate('ENOTEMPTY', 'EEXIST', 'ENOTDIR')(error as NodeJS.ErrnoException);
      if ((await this.find(key)) !== undefined) return;
      await rm(place, { recursive: true, force: true });
      await rename(draft, place);
    }
    await flush(this.#folder);
  }

  async #entries(): Promise<(EntrySummary & { readonly key: string })[]> {
    const found: (EntrySummary & { readonly key: string })[] = [];
    for (const key of await readdir(this.#folder)) {
      if (key.startsWith(DRAFT)) continue;
      const summary = await summarizeEntry(join(this.#folder, key));
      if (summary !== undefined) found.push({ ...summary, key });
      else await this.#sweep(key);
    }
    return found;
  }

  /** Before anything is written, since they may be what fills the disk. */
  async #sweepDrafts(): Promise<void> {
    const names = await readdir(this.#folder);
    for (const name of names.filter((entry) => entry.startsWith(DRAFT))) await this.#sweep(name);
  }

  /** What a crash left: drafts, and entries that were being removed. */
  async #sweep(name: string): Promise<void> {
    const left = await stat(join(this.#folder, name)).catch(tolerate('ENOENT'));
    if (left !== undefined && Date.now() - left.mtimeMs >= SWEEP_AFTER_MS) await this.#remove(name);
  }

  /** Its description first: what is left of it after a crash is no entry. */
  async #remove(name: string): Promise<void> {
    const path = join(this.#folder, name);
    await unlink(join(path, ENTRY_FILE)).catch(tolerate('ENOENT', 'ENOTDIR'));
    await rm(path, { recursive: true, force: true });
  }
}

/** Lets errors of these codes pass. */
function tolerate(...codes: readonly string[]): (error: NodeJS.ErrnoException) => void {
  return (error) => {
    if (!codes.includes(error.code ?? '')) throw error;
  };
}
