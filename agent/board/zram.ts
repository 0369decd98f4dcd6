/**
 * Memory that compressed swap takes. Source: kernel Documentation/admin-guide/blockdev/zram.rst (mm_stat).
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KernelFile } from './kernel-file.js';
import { parseBytes } from './read-text.js';

/** Position of mem_used_total in mm_stat: with fragmentation and metadata. */
const USED_AT = 2;

export class ZramReader {
  readonly #folder: string;
  #files: readonly KernelFile[] | undefined;

  /** @param root where /sys is. */
  constructor(root: string) {
    this.#folder = join(root, 'sys/block');
  }

  /** Bytes of all zram devices; 0 where there are none. */
  read(): number {
    this.#files ??= listDevices(this.#folder).map(
      (name) => new KernelFile(join(this.#folder, name, 'mm_stat')),
    );
    return this.#files.reduce((sum, file) => sum + (parseBytes(fieldOf(file.read())) ?? 0), 0);
  }

  close(): void {
    for (const file of this.#files ?? []) file.close();
    this.#files = undefined;
  }
}

function listDevices(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => /^zram\d+$/.test(name));
  } catch {
    // No sysfs.
    return [];
  }
}

function fieldOf(text: string | undefined): string | undefined {
  return text?.trim().split(/\s+/)[USED_AT];
}
